/**
 * onnxruntime-node gives a copy of every output that it is asked for, also of one that it has written where its caller wanted it: for
 * the gradients of a VAE 12 MB of fresh memory in every step, which were a seventh of the step, and kept the garbage collector busy.
 *
 * It makes the copies when all is written, in the order of the outputs, and stops at the first that it has no type of JavaScript for. So
 * the model gets such an output, an empty sequence, in front of the others: asked for too, it spares their copies.
 */
import { encodeModel, type OnnxGraph, type OnnxValue } from "../onnx/model.ts";
import type { LoadedModel, Runtime } from "./runtime-types.ts";

/** The name of that output. */
export const STOPPER = "stopper";

/** The model with that output in front. Who does not ask for it sees nothing of it. */
export const withStopper = (model: OnnxGraph): OnnxGraph => ({
  ...model,
  nodes: [...model.nodes, { op: "SequenceEmpty", inputs: [], outputs: [STOPPER] }],
  outputs: [{ name: STOPPER, type: "sequence", shape: [] }, ...model.outputs],
});

/** What the binding says when it comes to the stopper. */
const STOPPED = "Non tensor type";

/**
 * Runs a model that writes `witness` among other places.
 *
 * @returns Whether all was written, as it is when the run came to the stopper, or to its end. Else nothing is known.
 */
export function wroteAll(run: () => unknown, witness: Float32Array | Float64Array): boolean {
  witness[0] = Number.NaN;
  try {
    run();
  } catch (cause) {
    if (!(cause instanceof Error && cause.message.startsWith(STOPPED))) return false;
  }
  return !Number.isNaN(witness[0]);
}

const pair = (name: string): OnnxValue => ({ name, type: "float32", shape: [2] });

/**
 * Whether a runtime comes to the stopper as said, and leaves those alone who do not ask for it: before 1.24 it confuses the names of
 * outputs when some are not asked for. Seen from a model of two operations.
 */
export function knowsStopper(load: (model: Uint8Array) => LoadedModel, makeTensor: Runtime["makeTensor"]): boolean {
  const ops = [
    { op: "Neg", inputs: ["x"], outputs: ["y"] },
    { op: "Abs", inputs: ["x"], outputs: ["z"] },
  ];
  const graph = { nodes: ops, initializers: [], inputs: [pair("x")], outputs: [pair("y"), pair("z")] };
  const on = (data: Float32Array) => makeTensor("float32", data, [2]);
  const right = (y: unknown, z: unknown) =>
    y instanceof Float32Array && z instanceof Float32Array && [...y, ...z].join() === "-1,2,1,2";
  try {
    const { runNow, release } = load(encodeModel(withStopper(graph)));
    try {
      const feeds = { x: on(Float32Array.of(1, -2)) };
      const plain = runNow?.(feeds, { y: null, z: null });
      const [y, z] = [new Float32Array(2), new Float32Array(2)];
      const stopped = wroteAll(() => runNow?.(feeds, { [STOPPER]: null, y: on(y), z: on(z) }), y);
      return right(plain?.y?.data, plain?.z?.data) && stopped && right(y, z);
    } finally {
      release();
    }
  } catch {
    return false;
  }
}
