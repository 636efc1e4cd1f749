/**
 * One Langevin step for many chains at once, as a pure function of state and noise: x' = x + η∇log p(x) + √(2ηT) ξ. Unadjusted
 * (ULA) it keeps every proposal; adjusted (MALA) it accepts or rejects, and then p^{1/T} is exactly stationary.
 */
import * as tf from "@tensorflow/tfjs-core";
import { fail } from "../../core/errors.ts";
import type { Key } from "../../core/key.ts";
import { scope } from "../../core/scope.ts";
import { type Shape, sizeOf } from "../../core/shape.ts";

/** log p per chain, of positions by name, each `[chains, ...]`. Differentiable. */
export type LogDensity = (positions: readonly tf.Tensor[]) => tf.Tensor;

/** Where all chains are. Plain data: a state can be stored and resumed bit for bit. */
export interface LangevinState {
  /** Unconstrained positions, one array for each site, `[chains, ...]`. */
  readonly positions: readonly Float32Array[];
  readonly gradients: readonly Float32Array[];
  /** log p of each chain. */
  readonly logDensity: Float32Array;
}

/** What one step was like. */
export interface LangevinInfo {
  /** Acceptance probability of each chain's proposal; 1 for ULA. */
  readonly acceptance: Float32Array;
  /** Proposals whose density or gradient was not finite; never accepted. */
  readonly nonFinite: number;
}

/** Randomness of one step, an input. */
export interface LangevinNoise {
  /** Standard normals of the positions' shapes. */
  readonly normals: readonly Float32Array[];
  /** One uniform for each chain. */
  readonly uniforms: Float32Array;
}

/** What stays fixed over steps. */
export interface LangevinKernel {
  readonly logDensity: LogDensity;
  /** Shape of each position, chains first. */
  readonly shapes: readonly Shape[];
  readonly temperature: number;
  readonly adjusted: boolean;
  /** Density and gradient by another way than op by op; the key is for ways that are estimates. */
  readonly evaluate?: (positions: readonly Float32Array[], key?: Key) => LangevinState;
  /** The same, where the way does not answer at once. */
  readonly evaluateLater?: (positions: readonly Float32Array[]) => Promise<LangevinState>;
}

/** Density and gradient at positions; neither need be finite. */
export function evaluateLangevin(
  { logDensity, shapes, evaluate }: LangevinKernel,
  positions: readonly Float32Array[],
  key?: Key,
): LangevinState {
  if (evaluate !== undefined) return evaluate(positions, key);
  return scope(() => {
    const at = positions.map((x, i) => tf.tensor(x, [...(shapes[i] as Shape)]));
    const chains = (shapes[0] as Shape)[0] as number;
    // One chain's density does not depend on another's position, so the gradient with ones is every chain's own.
    const { value, grads } = tf.valueAndGrads((...xs: tf.Tensor[]) => logDensity(xs) as tf.Scalar)(
      at,
      tf.ones([chains]) as tf.Scalar,
    );
    return {
      positions,
      gradients: grads.map((g) => g.dataSync().slice() as Float32Array),
      logDensity: value.dataSync().slice() as Float32Array,
    };
  });
}

/**
 * The state at given positions.
 *
 * @throws `non-finite` when a chain starts where the density is zero or not a number.
 */
export function initLangevin(kernel: LangevinKernel, positions: readonly Float32Array[], key?: Key): LangevinState {
  const state = evaluateLangevin(kernel, positions, key);
  const bad = state.logDensity.findIndex((l) => !Number.isFinite(l));
  if (bad >= 0) {
    fail(
      "non-finite",
      `langevin: chain ${bad} starts where the log-density is ${state.logDensity[bad]}; give other initial values`,
    );
  }
  return state;
}

/** √(2ηT). */
const spreadOf = ({ temperature }: LangevinKernel, stepSize: number): number => Math.sqrt(2 * stepSize * temperature);

/** Where one step takes every chain. `stepSize` is η, in units of the square of the position. */
export function proposeLangevin(
  kernel: LangevinKernel,
  { positions, gradients }: LangevinState,
  stepSize: number,
  { normals }: LangevinNoise,
): Float32Array[] {
  const spread = spreadOf(kernel, stepSize);
  return positions.map((x, s) => {
    const [g, xi] = [gradients[s] as Float32Array, normals[s] as Float32Array];
    return x.map((v, i) => v + stepSize * (g[i] as number) + spread * (xi[i] as number));
  });
}

/** The step that {@link proposeLangevin} proposed, taken or not by every chain. */
export function acceptLangevin(
  kernel: LangevinKernel,
  state: LangevinState,
  stepSize: number,
  noise: LangevinNoise,
  proposal: LangevinState,
): { readonly state: LangevinState; readonly info: LangevinInfo } {
  const { temperature, adjusted, shapes } = kernel;
  const spread = spreadOf(kernel, stepSize);
  const chains = (shapes[0] as Shape)[0] as number;
  const acceptance = new Float32Array(chains);
  const taken = new Uint8Array(chains);
  let nonFinite = 0;
  for (let c = 0; c < chains; c++) {
    const to = proposal.logDensity[c] as number;
    let logRatio = (to - (state.logDensity[c] as number)) / temperature;
    let finite = Number.isFinite(to);
    for (let s = 0; s < shapes.length && finite; s++) {
      const size = sizeOf((shapes[s] as Shape).slice(1));
      for (let i = c * size; i < (c + 1) * size; i++) {
        const back = proposal.gradients[s]?.[i] as number;
        if (!Number.isFinite(back)) finite = false;
        const xi = (noise.normals[s] as Float32Array)[i] as number;
        // x − x' − ηg' = −(η(g + g') + √(2ηT) ξ), and the forward move was √(2ηT) ξ.
        const reverse = (stepSize * ((state.gradients[s]?.[i] as number) + back)) / spread + xi;
        logRatio += (xi * xi - reverse * reverse) / 2;
      }
    }
    if (!finite) nonFinite++;
    const probability = finite ? Math.min(1, Math.exp(logRatio)) : 0;
    acceptance[c] = adjusted ? probability : 1;
    taken[c] = finite && (!adjusted || (noise.uniforms[c] as number) < probability) ? 1 : 0;
  }
  return { state: choose(kernel, state, proposal, taken), info: { acceptance, nonFinite } };
}

/** The proposal's chain where it was taken, the old one elsewhere. */
function choose(
  { shapes }: LangevinKernel,
  old: LangevinState,
  proposal: LangevinState,
  taken: Uint8Array,
): LangevinState {
  const merge = (from: readonly Float32Array[], to: readonly Float32Array[]) =>
    from.map((x, s) => {
      const size = sizeOf((shapes[s] as Shape).slice(1));
      const out = x.slice();
      for (let c = 0; c < taken.length; c++) {
        if (taken[c] === 1) out.set((to[s] as Float32Array).subarray(c * size, (c + 1) * size), c * size);
      }
      return out;
    });
  return {
    positions: merge(old.positions, proposal.positions),
    gradients: merge(old.gradients, proposal.gradients),
    logDensity: old.logDensity.map((l, c) => (taken[c] === 1 ? (proposal.logDensity[c] as number) : l)),
  };
}

/**
 * Independence Metropolis: each chain moves to an independent draw of q, x*, with probability min(1, (p(x*)/p(x))^{1/T}·q(x)/q(x*)).
 *
 * @param logProposal - log q of positions, one number for each chain.
 */
export function jumpLangevin(
  kernel: LangevinKernel,
  state: LangevinState,
  logProposal: (positions: readonly Float32Array[]) => Float32Array,
  positions: readonly Float32Array[],
  uniforms: Float32Array,
): { readonly state: LangevinState; readonly acceptance: number } {
  const proposal = evaluateLangevin(kernel, positions);
  const [from, to] = [logProposal(state.positions), logProposal(positions)];
  let acceptance = 0;
  const taken = Uint8Array.from(uniforms, (u, c) => {
    const gain = ((proposal.logDensity[c] as number) - (state.logDensity[c] as number)) / kernel.temperature;
    const logRatio = gain + (from[c] as number) - (to[c] as number);
    // A proposal of density zero or not a number is never taken.
    const probability = Number.isNaN(logRatio) ? 0 : Math.min(1, Math.exp(logRatio));
    acceptance += probability / uniforms.length;
    return u < probability ? 1 : 0;
  });
  return { state: choose(kernel, state, proposal, taken), acceptance };
}
