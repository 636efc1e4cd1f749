/**
 * Steps of many chains on plain arrays, however they are made: op by op, here, or many in one compiled call (`scan.ts`). A state between
 * steps is typed arrays, so that it can be stored, resumed bit for bit, cut into parts and posted.
 */
import * as tf from "@tensorflow/tfjs-core";
import type { Key } from "../../core/key.ts";
import { scope } from "../../core/scope.ts";
import type { Shape } from "../../core/shape.ts";
import type { TensorTree } from "../../core/tree.ts";
import type { KernelState, NoiseKinds, StepInfo, Steps, Target } from "./kernel.ts";
import { gatherNoise, type NoiseInput, noiseInputs, noiseTensors } from "./noise.ts";
import type { SampledSite } from "./sites.ts";

/** A kernel's state outside any engine. */
export type ArrayState = { readonly [name: string]: Float32Array };

/** What is stepped. */
export interface StepSpec {
  readonly steps: Steps<KernelState, NoiseKinds>;
  readonly sites: readonly SampledSite[];
  readonly chains: number;
  /** Shape of every entry of the state. */
  readonly shapes: { readonly [name: string]: Shape };
  /** log p and its gradient; of an estimate the one that this key makes. */
  targetAt(key: Key | undefined): Target;
  /** Positions `[chains, d]` drawn from the prior, for kernels whose noise that is. */
  drawPrior(key: Key): Float32Array;
}

/** Some steps, done. Holds until the next steps are made. */
export interface Block {
  readonly count: number;
  /** After the last of them. */
  readonly state: ArrayState;
  /** Positions `[chains, d]` after step `i`. */
  x(i: number): Float32Array;
  /** Mean acceptance probability of step `i`; 1 for a kernel that takes all proposals. */
  acceptance(i: number): number;
  /** Proposals of step `i` that were not finite. */
  nonFinite(i: number): number;
}

/** A way to make steps. */
export interface Stepper {
  /** Most steps of one call. */
  readonly length: number;
  /**
   * One step for each key, at most `length`; undefined when a check inside the model failed, and then they must be made op by op, which
   * says where.
   *
   * @param following - Keys of the steps that come next, as far as they are known: their noise may be made meanwhile.
   */
  run(
    state: ArrayState,
    keys: readonly Key[],
    following?: readonly Key[],
  ): Block | undefined | Promise<Block | undefined>;
}

/** Tensors of a state, in the current scope. */
export const stateTensors = (state: ArrayState, shapes: StepSpec["shapes"]): KernelState =>
  Object.fromEntries(
    Object.entries(shapes).map(([name, shape]) => [name, tf.tensor(state[name] as Float32Array, [...shape])]),
  ) as unknown as KernelState;

/** A state outside any engine, with the shapes of its entries. */
export interface Stored {
  readonly state: ArrayState;
  readonly shapes: StepSpec["shapes"];
}

/** Arrays and shapes of tensors by name. */
export function store(tensors: TensorTree): Stored {
  const entries = Object.entries(tensors);
  return {
    state: Object.fromEntries(entries.map(([name, x]) => [name, x.dataSync().slice() as Float32Array])),
    shapes: Object.fromEntries(entries.map(([name, x]) => [name, [...x.shape]])),
  };
}

/** What a function of a state's tensors makes of it. */
export const mapStored = ({ state, shapes }: Stored, f: (state: KernelState) => TensorTree): Stored =>
  scope(() => store(f(stateTensors(state, shapes))));

/** The mean of a step's acceptance probabilities, as `meanAcceptance` has it; 1 without them. */
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

/** One step as tensors. Call it inside `scope`. */
export function stepTensors(
  spec: StepSpec,
  state: KernelState,
  noise: { readonly [input: string]: tf.Tensor },
  key: Key | undefined,
): readonly [KernelState, StepInfo] {
  const { steps, sites } = spec;
  return steps.step(state, gatherNoise(steps.noise, sites, noise), spec.targetAt(key));
}

/** Steps op by op, one a call. */
export function stepperOpByOp(spec: StepSpec): Stepper {
  const inputs: readonly NoiseInput[] = noiseInputs(spec.steps.noise, spec.sites);
  return {
    length: 1,
    run: (before, [key]) =>
      scope(() => {
        const noise = noiseTensors(inputs, spec, key as Key);
        const [next, info] = stepTensors(spec, stateTensors(before, spec.shapes), noise, key);
        const { state } = store(next);
        const finite = info.finite.dataSync();
        const [acceptance, nonFinite] = [meanOf(info.acceptance?.dataSync(), finite), countNonFinite(finite)];
        return {
          count: 1,
          state,
          x: () => state.x as Float32Array,
          acceptance: () => acceptance,
          nonFinite: () => nonFinite,
        };
      }),
  };
}
