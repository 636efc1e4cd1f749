/**
 * Two repairs of tfjs's tape, which its registries cannot reach.
 *
 * 1. An op whose gradient keeps its own output (exp, tanh, softmax, every custom gradient that saves its value) puts the
 *    copy of that output on the tape *before* itself. A later walk of the tape goes in order and so never learns that the
 *    copy depends on the input: the path is dropped, and second derivatives are silently wrong (tfjs#3252). Here the node
 *    is put before the copies of its outputs, where it belongs.
 * 2. An optional input that was not given (the scale of a batch normalisation) is an `undefined` on which the tape trips.
 */
import * as tf from "@tensorflow/tfjs-core";
import { fail } from "../core/errors.ts";

interface TapeNode {
  readonly inputs: { readonly [name: string]: { readonly id: number } };
  readonly outputs: readonly { readonly id: number }[];
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

/** Moves the last node of the tape before those of the `copies` nodes preceding it that read its outputs. */
function sinkBelowReaders(tape: TapeNode[], copies: number): void {
  const last = tape.length - 1;
  const node = tape[last];
  if (node === undefined) return;
  const outputs = new Set(node.outputs.map((tensor) => tensor.id));
  for (let at = Math.max(0, last - copies); at < last; at++) {
    if (Object.values(tape[at]?.inputs ?? {}).some((input) => outputs.has(input.id))) {
      tape.splice(at, 0, ...tape.splice(last));
      return;
    }
  }
}

/** Installs both. Idempotent. */
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
    if (this.state.activeTape !== null) sinkBelowReaders(this.state.activeTape, saved.length);
  };
  engine.saveTensorsForBackwardMode = function (tensors) {
    return saveTensorsForBackwardMode.call(
      this,
      tensors.filter((tensor) => tensor !== undefined && tensor !== null),
    );
  };
  engine[REPAIRED] = true;
}
