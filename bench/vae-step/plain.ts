/** The step as one writes it with tfjs alone: variables, `tf.train.adam`. */
import "@tensorflow/tfjs-backend-wasm";
import { createRequire } from "node:module";
import { createInterface } from "node:readline";
import * as tf from "@tensorflow/tfjs-core";
import { loss, weights } from "./loss.ts";

// What @tensorflow/tfjs registers; as an ES module of its own Node cannot load it.
createRequire(import.meta.url)("@tensorflow/tfjs-core/dist/register_all_gradients.js");
await tf.setBackend("wasm");
const variables = Object.fromEntries(
  Object.entries(weights()).map(([name, { data, shape }]) => [name, tf.variable(tf.tensor(data, [...shape]))]),
);
const optimizer = tf.train.adam(1e-3);
for await (const _ of createInterface({ input: process.stdin })) {
  const start = performance.now();
  const cost = optimizer.minimize(() => loss(variables) as tf.Scalar, true) as tf.Scalar;
  const [value] = cost.dataSync();
  cost.dispose();
  console.log(JSON.stringify({ ms: performance.now() - start, loss: value }));
}
process.exit(0);
