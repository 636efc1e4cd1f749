/**
 * Three repairs of tfjs's tape, which its registries cannot reach.
 *
 * 1. An op whose gradient keeps its own output (exp, tanh, softmax, every custom gradient that saves its value) puts the
 *    copy of that output on the tape *before* itself. A later walk of the tape goes in order and so never learns that the
 *    copy depends on the input: the path is dropped, and second derivatives are silently wrong (tfjs#3252). Here the node
 *    is put before the copies of its outputs, where it belongs.
 * 2. A custom gradient may save a value that is neither its input nor its output. The tape cannot know how that value
 *    depends on the input, and takes it for a constant: second derivatives are silently wrong (softmaxCrossEntropy). Here
 *    asking for one is an error.
 * 3. An optional input that was not given (the scale of a batch normalisation) is an `undefined` on which the tape trips.
 */
import * as tf from "@tensorflow/tfjs-core";
import { fail } from "../core/errors.ts";

interface TapeNode {
  inputs: { readonly [name: string]: { readonly id: number } };
  readonly outputs: readonly { readonly id: number }[];
  gradient?: (dys: tf.Tensor[]) => unknown;
}

interface TapeEngine {
  readonly state: { readonly activeTape: TapeNode[] | null };
  addTapeNode(
    kernel: string,
    inputs: object,
    outputs: tf.Tensor[],
    rule: unknown,
    saved: tf.Tensor[],
    attrs: unknown,
  ): void;
  saveTensorsForBackwardMode(tensors: (tf.Tensor | undefined)[]): tf.Tensor[];
}

const REPAIRED = Symbol.for("tilted.engine.tape");

const present = (inputs: object): object =>
  Object.fromEntries(Object.entries(inputs).filter(([, tensor]) => tensor !== undefined && tensor !== null));

const NO_SECOND =
  "a custom gradient saved a value that is neither its input nor its output, so its own derivative is unknown; " +
  "save inputs or outputs only, or write the function in ops (for the losses of tf: with logSoftmax, softplus and sums)";

/**
 * Puts the last node of the tape, the op, before the copies of its outputs among the `copies` nodes preceding it, and makes
 * a copy of anything else than its inputs and outputs refuse to be differentiated.
 */
function orderCopies(tape: TapeNode[], copies: number): void {
  const last = tape.length - 1;
  const node = tape[last];
  if (node === undefined || copies === 0) return;
  const outputs = new Set(node.outputs.map((tensor) => tensor.id));
  const inputs = new Set(Object.values(node.inputs).map((tensor) => tensor.id));
  let place = last;
  for (let at = last - 1; at >= Math.max(0, last - copies); at--) {
    const copy = tape[at] as TapeNode;
    const source = Object.values(copy.inputs)[0]?.id ?? -1;
    if (outputs.has(source)) place = at;
    else if (!inputs.has(source)) {
      copy.inputs = node.inputs;
      copy.gradient = () => fail("not-differentiable", NO_SECOND);
    }
  }
  if (place < last) tape.splice(place, 0, ...tape.splice(last));
}

/** Installs all three. Idempotent. */
export function repairTape(): void {
  const engine = tf.engine() as unknown as TapeEngine & { [REPAIRED]?: true };
  if (engine[REPAIRED]) return;
  const { addTapeNode, saveTensorsForBackwardMode } = engine;
  if (typeof addTapeNode !== "function" || typeof saveTensorsForBackwardMode !== "function") {
    fail(
      "engine",
      `tfjs-core ${tf.version_core} has another engine than the 4.22 this library repairs: install @tensorflow/tfjs-core@4.22.0`,
    );
  }
  engine.addTapeNode = function (kernel, inputs, outputs, rule, saved, attrs) {
    // Arrays of inputs (concat, stack) stay arrays: their gradients are matched by index.
    addTapeNode.call(this, kernel, Array.isArray(inputs) ? inputs : present(inputs), outputs, rule, saved, attrs);
    if (this.state.activeTape !== null) orderCopies(this.state.activeTape, saved.length);
  };
  engine.saveTensorsForBackwardMode = function (tensors) {
    return saveTensorsForBackwardMode.call(
      this,
      tensors.filter((tensor) => tensor !== undefined && tensor !== null),
    );
  };
  engine[REPAIRED] = true;
}
