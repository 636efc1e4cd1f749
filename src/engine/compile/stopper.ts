/**
 * onnxruntime-node gives a copy of every output that it is asked for, also of one that it has written where its caller wanted it: for
 * the gradients of a VAE 12 MB of fresh memory in every step, which were a seventh of the step, and kept the garbage collector busy.
 *
 * It makes the copies when all is written, in the order of the outputs, and stops at the first that it has no type of JavaScript for. So
 * the model gets such an output, an empty sequence, in front of the others: asked for too, it spares their copies.
 */
import type { OnnxGraph } from "./onnx.ts";

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
export function ranTo(stopper: () => unknown, witness: Float32Array | Float64Array): boolean {
  witness[0] = Number.NaN;
  try {
    stopper();
  } catch (cause) {
    if (!(cause instanceof Error && cause.message.startsWith(STOPPED))) return false;
  }
  return !Number.isNaN(witness[0]);
}
