/** The step as this library makes it: `train` with `adam`, called for one step at a time. */
import { createInterface } from "node:readline";
import { ensureEngine, ndarray, rootKey, train } from "tilted";
import { adam } from "tilted/optim";
import { loss, weights } from "./loss.ts";

await ensureEngine();
const params = Object.fromEntries(
  Object.entries(weights()).map(([name, { data, shape }]) => [name, ndarray(data, shape)]),
);
const lines = createInterface({ input: process.stdin })[Symbol.asyncIterator]();
let start = performance.now();
await train({
  params,
  loss,
  optimizer: adam(1e-3),
  steps: 1_000_000,
  key: rootKey(1),
  tick: async ({ metrics }) => {
    console.log(JSON.stringify({ ms: performance.now() - start, loss: metrics?.loss }));
    if ((await lines.next()).done) process.exit(0);
    start = performance.now();
  },
});
