/**
 * The way from a start that the data rule out to where they do not, however far: the first part of a warm-up, which owes nothing to
 * detailed balance. Every coordinate of every chain has its own scale s and moves by ½s²∇log p, at most s, plus noise s√T ξ: unadjusted
 * Langevin dynamics with a diagonal preconditioner. As in resilient propagation (Riedmiller & Braun 1993) the scale grows while the
 * gradient keeps its sign and shrinks when the sign turns, so that a distance of D scales takes log D steps, and not D.
 *
 * The noise is what an optimiser lacks: chains arrive where the mass is, not at the mode, which may have none (a funnel's neck).
 */
import { TiltedError } from "../../core/errors.ts";
import type { Key } from "../../core/key.ts";
import { uniform } from "../../core/random/draws.ts";
import { type Shape, sizeOf } from "../../core/shape.ts";
import { evaluateLangevin, type LangevinKernel, type LangevinState } from "./langevin-kernel.ts";

/** Chains on their way. */
export interface ApproachState {
  readonly chains: LangevinState;
  /** s of every coordinate, of the positions' shapes. */
  readonly scales: readonly Float32Array[];
}

/** While the gradient of more than one per scale keeps its sign. */
const GROWTH = 1.3;
/** While there is hardly any gradient. */
const SLOW_GROWTH = 1.15;
/** When the gradient turns, or a proposal has no density. */
const CUT = 0.4;

/** Density and gradient, or a density that is not a number where a site of the model has none. */
function evaluateOrNot(kernel: LangevinKernel, positions: readonly Float32Array[]): LangevinState {
  try {
    return evaluateLangevin(kernel, positions);
  } catch (error) {
    if (!(error instanceof TiltedError && error.code === "non-finite")) throw error;
    const chains = (kernel.shapes[0] as Shape)[0] as number;
    return { positions, gradients: positions, logDensity: new Float32Array(chains).fill(Number.NaN) };
  }
}

export const startApproach = (chains: LangevinState, scale: number): ApproachState => ({
  chains,
  scales: chains.positions.map((x) => new Float32Array(x.length).fill(scale)),
});

/** One step of every chain. `normals` are standard normals of the positions' shapes. */
export function stepApproach(
  kernel: LangevinKernel,
  { chains, scales }: ApproachState,
  normals: readonly Float32Array[],
): ApproachState {
  const { shapes, temperature } = kernel;
  const noise = Math.sqrt(temperature);
  const proposal = evaluateOrNot(
    kernel,
    chains.positions.map((x, i) => {
      const [g, s, xi] = [chains.gradients[i], scales[i], normals[i]] as [Float32Array, Float32Array, Float32Array];
      return x.map((v, j) => {
        const scale = s[j] as number;
        const drift = (scale * scale * (g[j] as number)) / 2;
        return v + Math.max(-scale, Math.min(scale, drift)) + noise * scale * (xi[j] as number);
      });
    }),
  );
  const sizes = shapes.map((shape) => sizeOf(shape.slice(1)));
  const possible = proposal.logDensity.map((l, c) => {
    const parts = proposal.gradients.map((g, i) =>
      g.subarray(c * (sizes[i] as number), (c + 1) * (sizes[i] as number)),
    );
    return Number.isFinite(l) && parts.every((part) => part.every(Number.isFinite)) ? 1 : 0;
  });
  const merge = (from: readonly Float32Array[], to: readonly Float32Array[]) =>
    from.map((x, i) => x.map((v, j) => (possible[Math.floor(j / (sizes[i] as number))] ? (to[i]?.[j] as number) : v)));
  return {
    chains: {
      positions: merge(chains.positions, proposal.positions),
      gradients: merge(chains.gradients, proposal.gradients),
      logDensity: chains.logDensity.map((l, c) => (possible[c] ? (proposal.logDensity[c] as number) : l)),
    },
    scales: scales.map((s, i) =>
      s.map((scale, j) => {
        if (!possible[Math.floor(j / (sizes[i] as number))]) return CUT * scale;
        const [before, now] = [chains.gradients[i]?.[j] as number, proposal.gradients[i]?.[j] as number];
        if (scale * Math.abs(now) <= 1) return SLOW_GROWTH * scale;
        return before * now > 0 ? GROWTH * scale : CUT * scale;
      }),
    ),
  };
}

/** Log-density below the median chain at which a chain is lost, beside one for every dimension: places of no mass to speak of. */
const LOST = 30;

/**
 * Moves chains that did not arrive to where others did. A chain is lost when its density is less than e^{−30 − d} of the median
 * chain's: no mode that counts is that low, so no mode is lost with it.
 */
export function gatherLost({ shapes, temperature }: LangevinKernel, chains: LangevinState, key: Key): LangevinState {
  const count = chains.logDensity.length;
  const sizes = shapes.map((shape) => sizeOf(shape.slice(1)));
  const dimension = sizes.reduce((a, b) => a + b, 0);
  const median = chains.logDensity.slice().sort()[Math.floor(count / 2)] as number;
  const least = median - temperature * (LOST + dimension);
  const arrived = Array.from({ length: count }, (_, c) => c).filter((c) => (chains.logDensity[c] as number) >= least);
  const picks = uniform(key, count);
  const from = Array.from({ length: count }, (_, c) =>
    (chains.logDensity[c] as number) >= least
      ? c
      : (arrived[Math.floor((picks[c] as number) * arrived.length)] as number),
  );
  const move = (arrays: readonly Float32Array[]) =>
    arrays.map((x, i) => {
      const size = sizes[i] as number;
      return x.map((_, j) => x[(from[Math.floor(j / size)] as number) * size + (j % size)] as number);
    });
  return {
    positions: move(chains.positions),
    gradients: move(chains.gradients),
    logDensity: chains.logDensity.map((_, c) => chains.logDensity[from[c] as number] as number),
  };
}
