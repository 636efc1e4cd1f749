/**
 * Many Langevin steps in one call of the compiled engine: proposal, density, gradient and the decision of every chain inside the
 * runtime, the noise of all steps an input. A small step costs less than the call that asks for it.
 *
 * The draws are those of single steps: the same noise by the same keys, up to the rounding of single precision in the decision. Steps
 * whose size is still being adapted need their acceptance at once, and jumps change the chains between steps: those stay single.
 */
import * as tf from "@tensorflow/tfjs-core";
import type { Values } from "../../compiler/step.ts";
import type { Key } from "../../core/key.ts";
import { type Shape, sizeOf } from "../../core/shape.ts";
import type { LangevinKernel, LangevinState } from "./langevin-kernel.ts";
import { blockNoise } from "./noise.ts";

/** What some steps were like, and where they led. */
export interface LangevinBlock {
  readonly state: LangevinState;
  /** Positions after step `i`, as the state has them; to be asked before the next block is run. */
  positions(i: number): readonly Float32Array[];
  /** Mean acceptance probability of step `i`; 1 for ULA. */
  acceptance(i: number): number;
  /** Proposals of step `i` whose density or gradient was not finite, or beyond single precision in the decision; never taken. */
  nonFinite(i: number): number;
}

/** Runs up to `length` steps in one call. */
export interface LangevinBlocks {
  readonly length: number;
  /**
   * `count` steps, at most `length`, of constant step size; undefined when a check inside the model failed, and then they must be done
   * one by one, which says where.
   */
  run(
    state: LangevinState,
    stepSize: number,
    count: number,
    key: (i: number) => Key,
    next: number,
  ): LangevinBlock | undefined | Promise<LangevinBlock | undefined>;
  /** There will be no further run. */
  end(): void;
}

/** The program of a block: chains lie in one part or in several, which threads run at the same time or one after the other. */
export interface BlockProgram {
  /** Parts that run at the same time. */
  readonly lanes: number;
  /** Chains of every part. */
  readonly size: number;
  /** The first chain of each part; parts may overlap, and then the chains of both are alike. */
  readonly starts: readonly number[];
  /** Runs all parts. `fill` writes the inputs of part `j`, which keep what was written before. Outputs hold until the next run. */
  run(
    fill: (j: number, inputs: Values) => void,
  ): readonly Values[] | undefined | Promise<readonly Values[] | undefined>;
}

/** Inputs and outputs, by what they are and the site. */
export const POSITION = (s: number) => `position ${s}`;
export const GRADIENT = (s: number) => `gradient ${s}`;
const NORMAL = (s: number) => `normal ${s}`;
const DRAW = (s: number) => `draw ${s}`;

/** η, √(2ηT) and η/√(2ηT), for every step: where all are 0 a step leads nowhere, which fills up a call. */
const SIZES = ["eta", "spread", "ratio"] as const;

/** The step in ops, to be repeated. */
export function blockSpec({ logDensity, shapes, temperature, adjusted }: LangevinKernel) {
  const chains = shapes[0]?.[0] as number;
  const real = (shape: Shape) => ({ shape, dtype: "float32" as const });
  const perSite = (name: (s: number) => string) => shapes.map((shape, s) => [name(s), real(shape)] as const);
  const inputs = Object.fromEntries([
    ...perSite(POSITION),
    ...perSite(GRADIENT),
    ...perSite(NORMAL),
    ["density", real([chains])] as const,
    ...(adjusted ? [["uniform", real([chains])] as const] : []),
    ...SIZES.map((name) => [name, real([])] as const),
  ]);
  const state = ["density", ...shapes.map((_, s) => POSITION(s)), ...shapes.map((_, s) => GRADIENT(s))];

  const body = (given: { readonly [name: string]: tf.Tensor }): { readonly [name: string]: tf.Tensor } => {
    const of = (name: string) => given[name] as tf.Tensor;
    const each = (f: (s: number) => tf.Tensor) => shapes.map((_, s) => f(s));
    const proposal = each((s) =>
      tf.add(tf.add(of(POSITION(s)), tf.mul(of(GRADIENT(s)), of("eta"))), tf.mul(of(NORMAL(s)), of("spread"))),
    );
    const { value, grads } = tf.valueAndGrads((...xs: tf.Tensor[]) => logDensity(xs) as tf.Scalar)(
      proposal,
      tf.ones([chains]) as tf.Scalar,
    );
    const perChain = (x: tf.Tensor) => tf.sum(tf.reshape(x, [chains, -1]), 1);
    const total = (parts: readonly tf.Tensor[]) => parts.reduce((a, b) => tf.add(a, b));
    // log of the ratio of the decision: −½Σ a(a + 2ξ) is ½Σ(ξ² − (ξ + a)²) with a = η(g + g')/√(2ηT), and loses less to rounding.
    const moves = () =>
      each((s) => {
        const a = tf.mul(tf.add(of(GRADIENT(s)), grads[s] as tf.Tensor), of("ratio"));
        return perChain(tf.mul(a, tf.add(a, tf.mul(of(NORMAL(s)), 2))));
      });
    const ratio = adjusted
      ? tf.sub(tf.mul(tf.sub(value, of("density")), 1 / temperature), tf.mul(total(moves()), 0.5))
      : // Of ULA only whether everything is finite: then its sum is.
        tf.add(value, total(each((s) => perChain(grads[s] as tf.Tensor))));
    const finite = tf.less(tf.abs(ratio), Number.POSITIVE_INFINITY);
    const taken = adjusted ? tf.logicalAnd(finite, tf.less(of("uniform"), tf.exp(ratio))) : finite;
    const choose = (to: tf.Tensor, from: tf.Tensor) =>
      tf.where(tf.reshape(taken, [chains, ...to.shape.slice(1).map(() => 1)]), to, from);
    const positions = each((s) => choose(proposal[s] as tf.Tensor, of(POSITION(s))));
    return {
      density: choose(value, of("density")),
      ratio,
      ...Object.fromEntries(
        positions.flatMap((x, s) => [
          [POSITION(s), x],
          [DRAW(s), x],
        ]),
      ),
      ...Object.fromEntries(grads.map((g, s) => [GRADIENT(s), choose(g, of(GRADIENT(s)))])),
    };
  };
  return {
    inputs,
    body,
    carry: Object.fromEntries(state.map((name) => [name, name])),
    slices: [...shapes.map((_, s) => NORMAL(s)), ...(adjusted ? ["uniform"] : []), ...SIZES],
    noise: shapes.reduce((sum, shape) => sum + sizeOf(shape), chains),
  };
}

/** What a run of the repeated step is asked, and what its answer means. */
export function blocksOf(
  { shapes, temperature, adjusted }: LangevinKernel,
  names: readonly string[],
  length: number,
  { size, starts, run }: BlockProgram,
): LangevinBlocks {
  const chains = shapes[0]?.[0] as number;
  /** Numbers of one chain. */
  const inner = shapes.map((shape) => sizeOf(shape.slice(1)));
  const noise = blockNoise(
    [
      ...inner.map((each, s) => ({ input: NORMAL(s), kind: "normal" as const, name: names[s] as string, each })),
      ...(adjusted ? [{ input: "uniform", kind: "uniform" as const, name: "accept", each: 1 }] : []),
    ],
    chains,
  );
  // Parts keep every core busy: then nobody has time for noise.
  const whole = starts.length === 1;

  const read = (parts: readonly Values[]): LangevinBlock => {
    /** An array of all chains, `each` numbers of a chain, from the `i`-th row of every part. */
    const gathered = (name: string, each: number, i = 0): Float32Array => {
      const rows = parts.map((out) => (out[name] as Float32Array).subarray(i * size * each, (i + 1) * size * each));
      if (rows.length === 1) return rows[0] as Float32Array;
      const all = new Float32Array(chains * each);
      rows.forEach((row, j) => {
        all.set(row, (starts[j] as number) * each);
      });
      return all;
    };
    const ratios = (i: number) => gathered("ratio", 1, i);
    return {
      state: {
        positions: inner.map((each, s) => gathered(POSITION(s), each)),
        gradients: inner.map((each, s) => gathered(GRADIENT(s), each)),
        logDensity: gathered("density", 1),
      },
      positions: (i) => inner.map((each, s) => gathered(DRAW(s), each, i)),
      acceptance(i) {
        if (!adjusted) return 1;
        let sum = 0;
        for (const r of ratios(i)) sum += Number.isFinite(r) ? Math.min(1, Math.exp(r)) : 0;
        return sum / chains;
      },
      nonFinite(i) {
        let sum = 0;
        for (const r of ratios(i)) if (!Number.isFinite(r)) sum++;
        return sum;
      },
    };
  };

  return {
    length,
    end: noise.drop,
    run(state, stepSize, count, key, next) {
      const spread = Math.sqrt(2 * stepSize * temperature);
      const keysFrom = (first: number, steps: number) => Array.from({ length: steps }, (_, i) => key(first + i));
      const keys = keysFrom(0, count);
      if (whole) noise.begin(keys);
      const out = run((j, inputs) => {
        const start = starts[j] as number;
        // What the program does not use is not among its inputs.
        const write = (name: string, to: (array: Float32Array) => void) => {
          const array = inputs[name];
          if (array !== undefined) to(array as Float32Array);
        };
        const part = (name: string, values: Float32Array, each: number) =>
          write(name, (array) => array.set(values.subarray(start * each, (start + size) * each)));
        inner.forEach((each, s) => {
          part(POSITION(s), state.positions[s] as Float32Array, each);
          part(GRADIENT(s), state.gradients[s] as Float32Array, each);
        });
        part("density", state.logDensity, 1);
        for (const [name, value] of Object.entries({ eta: stepSize, spread, ratio: stepSize / spread }))
          write(name, (array) => array.fill(0).fill(value, 0, count));
        for (const { input, fill } of noise.of(keys)) write(input, (array) => fill(array, start, size));
        if (whole) noise.beginAhead(keysFrom(count, next));
      });
      return out instanceof Promise ? out.then((parts) => parts && read(parts)) : out && read(out);
    },
  };
}
