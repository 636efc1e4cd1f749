/**
 * A runner runs steps of all chains on plain arrays: op by op here, or many in one compiled call (`compiled-runner.ts`). Between calls the
 * state is typed arrays, so that it can be stored, resumed bit for bit, split into parts and sent to threads.
 */
import * as tf from "@tensorflow/tfjs-core";
import type { Key } from "../../core/key.ts";
import { scope } from "../../core/scope.ts";
import type { Shape } from "../../core/shape.ts";
import type { TensorTree } from "../../core/tree.ts";
import { checkStep } from "./check-kernel.ts";
import type { KernelState, NoiseKinds, StepInfo, Target, Transition } from "./kernel.ts";
import { gatherNoise, type NoiseInput, noiseInputs, noiseTensors } from "./noise.ts";
import type { SampledSite } from "./sites.ts";

/** A kernel's state as typed arrays. */
export type ArrayState = { readonly [name: string]: Float32Array };

/** What a runner runs. */
export interface TransitionSpec {
  readonly transition: Transition<KernelState, NoiseKinds>;
  readonly sites: readonly SampledSite[];
  readonly chains: number;
  /** Shape of every entry of the state. */
  readonly shapes: { readonly [name: string]: Shape };
  /** log p and its gradient; where they are estimates, those drawn with this key. */
  targetAt(key: Key | undefined): Target;
  /** Positions `[chains, d]` drawn from the prior, for kernels with noise of kind `prior`. */
  drawPrior(key: Key): Float32Array;
}

/** The result of some steps. Valid until the runner runs again. */
export interface Block {
  readonly count: number;
  /** After the last of them. */
  readonly state: ArrayState;
  /** Positions `[chains, d]` after step `i`. */
  x(i: number): Float32Array;
  /** Whether the kernel accepts every proposal. */
  readonly unadjusted: boolean;
  /** Mean acceptance probability of step `i`; 1 for a kernel that accepts every proposal. */
  acceptance(i: number): number;
  /** Proposals of step `i` that were not finite. */
  nonFinite(i: number): number;
}

/** Runs steps. */
export interface Runner {
  /** Most steps of one call. */
  readonly length: number;
  /**
   * One step for each key, at most `length`; undefined when a check inside the model failed: run op by op, the steps throw the error
   * with its site.
   *
   * @param following - Keys of the next steps, where known: their noise may be drawn meanwhile.
   */
  run(
    state: ArrayState,
    keys: readonly Key[],
    following?: readonly Key[],
  ): Block | undefined | Promise<Block | undefined>;
}

/** Tensors of a state, in the current scope. */
export const stateTensors = (state: ArrayState, shapes: TransitionSpec["shapes"]): KernelState =>
  Object.fromEntries(
    Object.entries(shapes).map(([name, shape]) => [name, tf.tensor(state[name] as Float32Array, [...shape])]),
  ) as unknown as KernelState;

/** A state as typed arrays, with the shapes of its entries. */
export interface Stored {
  readonly state: ArrayState;
  readonly shapes: TransitionSpec["shapes"];
}

/** Arrays and shapes of tensors by name. */
export function storeState(tensors: TensorTree): Stored {
  const entries = Object.entries(tensors);
  return {
    state: Object.fromEntries(entries.map(([name, x]) => [name, x.dataSync().slice() as Float32Array])),
    shapes: Object.fromEntries(entries.map(([name, x]) => [name, [...x.shape]])),
  };
}

/** A function of a state's tensors, applied to a stored state. */
export const mapStored = ({ state, shapes }: Stored, f: (state: KernelState) => TensorTree): Stored =>
  scope(() => storeState(f(stateTensors(state, shapes))));

/** The mean of a step's acceptance probabilities, as `meanAcceptance` computes it; 1 without them. */
export function meanOf(acceptance: ArrayLike<number> | undefined, finite: ArrayLike<number>): number {
  if (acceptance === undefined) return 1;
  let sum = 0;
  for (let c = 0; c < acceptance.length; c++) if (finite[c] !== 0) sum += acceptance[c] as number;
  return sum / acceptance.length;
}

/** How many of a step's proposals were not finite. */
export function countNonFinite(finite: ArrayLike<number>): number {
  let count = 0;
  for (let c = 0; c < finite.length; c++) if (finite[c] === 0) count++;
  return count;
}

/** One step as tensors. Call it inside `scope`. @throws `shape` as {@link checkStep}. */
export function applyTransition(
  spec: TransitionSpec,
  state: KernelState,
  noise: { readonly [input: string]: tf.Tensor },
  key: Key | undefined,
): readonly [KernelState, StepInfo] {
  const { transition, sites } = spec;
  const [next, info] = transition.step(state, gatherNoise(transition.noise, sites, noise), spec.targetAt(key));
  checkStep(transition.name, state, next, info);
  return [next, info];
}

/** Steps op by op, one a call. */
export function runnerOpByOp(spec: TransitionSpec): Runner {
  const inputs: readonly NoiseInput[] = noiseInputs(spec.transition.noise, spec.sites);
  return {
    length: 1,
    run: (before, [key]) =>
      scope(() => {
        const noise = noiseTensors(inputs, spec, key as Key);
        const [next, info] = applyTransition(spec, stateTensors(before, spec.shapes), noise, key);
        const { state } = storeState(next);
        const finite = info.finite.dataSync();
        const [acceptance, nonFinite] = [meanOf(info.acceptance?.dataSync(), finite), countNonFinite(finite)];
        return {
          count: 1,
          state,
          unadjusted: info.acceptance === undefined,
          x: () => state.x as Float32Array,
          acceptance: () => acceptance,
          nonFinite: () => nonFinite,
        };
      }),
  };
}
