/** What a kernel must be: every message names the kernel, what it gave and what was expected. */
import * as tf from "@tensorflow/tfjs-core";
import { fail } from "../../core/errors.ts";
import { sameShape, showShape } from "../../core/shape.ts";
import type { Kernel, KernelState, NoiseKind, StepInfo } from "./kernel.ts";

const KINDS: readonly NoiseKind[] = ["normal", "uniform", "prior"];

const quote = (names: readonly string[]): string => names.map((name) => `"${name}"`).join(", ");

/** @throws `argument` when it is no kernel. */
export function checkKernel(kernel: Kernel): void {
  const { name, noise, init, step } = kernel ?? {};
  if (typeof name !== "string" || typeof init !== "function" || typeof step !== "function" || typeof noise !== "object")
    fail("argument", "mcmc: the first argument must be a kernel, { name, noise, init, step }");
  for (const [entry, kind] of Object.entries(noise))
    if (!KINDS.includes(kind))
      fail("argument", `${name}: the noise "${entry}" is of kind "${kind}"; the kinds are ${quote(KINDS)}`);
}

/** @throws `shape` when a state is not one of chains: positions `[chains, d]`, and chains on the first axis of all else but the step size. */
export function checkState(name: string, state: KernelState, [chains, d]: readonly [number, number]): void {
  if (!sameShape(state.x?.shape ?? [], [chains, d]))
    fail("shape", `${name}: x has shape ${showShape(state.x?.shape ?? [])}, expected ${showShape([chains, d])}`);
  for (const [entry, value] of Object.entries(state))
    if (!(value instanceof tf.Tensor) || (value.rank > 0 && value.shape[0] !== chains))
      fail(
        "shape",
        `${name}: the entry "${entry}" of the state must be a tensor with ${chains} chains on its first axis`,
      );
}

/** @throws `shape` when a step gives another state than it was given, or says nothing of its proposals. */
export function checkStep(name: string, before: KernelState, next: KernelState, info: StepInfo): void {
  const [given, found] = [Object.keys(before), Object.keys(next ?? {})];
  if (given.some((entry) => !found.includes(entry)) || found.length !== given.length)
    fail("shape", `${name}: the step gives the entries ${quote(found)}, and was given ${quote(given)}`);
  for (const entry of given) {
    const [a, b] = [before[entry]?.shape ?? [], next[entry]?.shape ?? []];
    if (!sameShape(a, b))
      fail("shape", `${name}: the step gives "${entry}" of shape ${showShape(b)}, and was given ${showShape(a)}`);
  }
  const chains = before.x.shape[0] as number;
  for (const [entry, value] of Object.entries({ finite: info?.finite, acceptance: info?.acceptance })) {
    if (value === undefined && entry === "acceptance") continue;
    if (!(value instanceof tf.Tensor) || !sameShape(value.shape, [chains]))
      fail("shape", `${name}: info.${entry} must be a tensor of shape ${showShape([chains])}`);
  }
}
