/** The first state of chains: what a kernel makes of their positions, and whether they can start from there. */
import * as tf from "@tensorflow/tfjs-core";
import { fail } from "../../core/errors.ts";
import { scope } from "../../core/scope.ts";
import { checkState } from "./check-kernel.ts";
import type { Kernel, Target } from "./kernel.ts";
import { type ArrayState, type Stored, storeState } from "./runner.ts";

/** Positions and a step size to start from. */
export interface StartAt {
  /** `[chains, d]`. */
  readonly x: Float32Array;
  readonly chains: number;
  readonly stepSize: number;
  /** See {@link checkStart}. */
  readonly bounded?: boolean;
}

/**
 * The kernel's state at given positions.
 *
 * @param what - The method, for messages.
 * @throws As {@link checkStart}; `shape` when the kernel's state is not one of these chains.
 */
export function startState(
  what: string,
  kernel: Kernel,
  target: Target,
  { x, chains, stepSize, bounded }: StartAt,
): Stored {
  const start = scope(() => {
    const d = x.length / chains;
    const state = { ...kernel.init(tf.tensor2d(x, [chains, d]), target), eta: tf.scalar(stepSize) };
    checkState(kernel.name, state as never, [chains, d]);
    return storeState(state);
  });
  checkStart(what, start.state, chains, bounded);
  return start;
}

/**
 * @param bounded - Whether the first steps bound their drift, as those of a burn-in do: then a gradient may be infinite.
 * @throws `non-finite` when a chain has no density there, or something else in its state is not finite.
 */
export function checkStart(what: string, state: ArrayState, chains: number, bounded = false): void {
  for (const [entry, values] of Object.entries(state)) {
    const isFine = bounded && entry !== "logp" ? (value: number) => !Number.isNaN(value) : Number.isFinite;
    const at = values.findIndex((value) => !isFine(value));
    if (at < 0) continue;
    const chain = Math.floor(at / (values.length / chains));
    fail("non-finite", `${what}: chain ${chain} starts where its ${entry} is ${values[at]}; give other initial values`);
  }
}
