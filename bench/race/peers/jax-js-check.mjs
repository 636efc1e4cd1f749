/**
 * Why the race has "differs" beside jax-js in `energy-step`: its WebAssembly backend gives a wrong gradient of the gradient penalty.
 *
 *   npx tsx bench/race/peers/jax-js-check.mjs
 *
 * The penalty of a network 2-3-4-1 (tanh), mean ‖∂E/∂x‖², and its derivative along one direction of each weight: by jax-js on its
 * `cpu` backend, by the same program on its `wasm` backend, and by a difference quotient of the penalty, whose value both agree on.
 */
import { join } from "node:path";
import { pathToFileURL } from "node:url";
import { peersFolder } from "../process.ts";

const at = join(peersFolder(), "node", "node_modules", "@jax-js", "jax", "dist", "index.js");
const { numpy: np, grad, init, defaultDevice } = await import(pathToFileURL(at).href);
for (const backend of ["cpu", "wasm"]) await init(backend);

const numbers = (shape, phase) => ({
  data: Float32Array.from(
    { length: shape.reduce((a, b) => a * b, 1) },
    (_, i) => Math.sin(phase + 1.37 * i) / Math.sqrt(shape[0]),
  ),
  shape,
});
const array = ({ data, shape }) => np.array(data).reshape(shape);
const WIDTHS = [2, 3, 4, 1];
const x = numbers([4, 2], 0.1);
const weights = WIDTHS.slice(1).map((width, i) => numbers([WIDTHS[i], width], 0.5 + i));

const network = (ws, x) =>
  ws.reduce((h, w, i) => {
    const y = np.matmul(h.ref, w.ref);
    return i < ws.length - 1 ? np.tanh(y) : y;
  }, x);
const square = (x) => x.ref.mul(x.ref);
/** The penalty as a function of the weight of one layer. */
const penalty = (layer) => (w) => {
  const ws = weights.map((other, i) => (i === layer ? w : array(other)));
  return np.mean(square(grad((x) => network(ws, x).sum())(array(x))).sum(-1));
};

const STEP = 2e-2;
for (const [layer, w] of weights.entries()) {
  const direction = w.data.map((_, i) => Math.sin(1.7 * i + 0.3));
  const moved = async (size) => {
    const data = w.data.map((v, i) => v + size * direction[i]);
    return (await penalty(layer)(array({ ...w, data })).data())[0];
  };
  for (const backend of ["cpu", "wasm"]) {
    defaultDevice(backend);
    const g = await grad(penalty(layer))(array(w)).data();
    const derivative = g.reduce((sum, v, i) => sum + v * direction[i], 0);
    const quotient = ((await moved(STEP)) - (await moved(-STEP))) / (2 * STEP);
    console.log(
      `layer ${layer}, ${backend.padEnd(4)}: derivative ${derivative.toFixed(4)}, quotient ${quotient.toFixed(4)}`,
    );
  }
}
