/** Kernels by themselves: one step as the paper has it, in doubles, at positions and noise of any kind. */
import * as tf from "@tensorflow/tfjs-core";
import fc from "fast-check";
import { beforeAll, describe, expect, it } from "vitest";
import { TiltedError } from "../../core/errors.ts";
import { rootKey } from "../../core/key.ts";
import { useEngine } from "../../engine/engine.ts";
import { burnIn, resampleStuckChains, startBurnIn } from "./burn-in.ts";
import { independence } from "./independence.ts";
import { type GradientState, meanAcceptance, targetOf } from "./kernel.ts";
import { mala } from "./mala.ts";
import { adapting, endAdapting, startAdapting } from "./step-size.ts";
import { ula } from "./ula.ts";

beforeAll(() => useEngine("wasm"));

/** A density whose gradient is easy: log p = −¼Σx⁴. */
const quartic = targetOf((x) => ({ logp: tf.mul(-0.25, tf.sum(tf.pow(x, 4), 1)), grad: tf.neg(tf.pow(x, 3)) }));
const logp = (x: readonly number[]) => -0.25 * x.reduce((s, v) => s + v ** 4, 0);
const grad = (x: readonly number[]) => x.map((v) => -(v ** 3));

const stateAt = (xs: readonly (readonly number[])[], eta: number): GradientState => {
  const x = tf.tensor2d(xs.map((row) => [...row]));
  return { x, ...quartic(x), eta: tf.scalar(eta) };
};
const rows = (x: tf.Tensor) => x.arraySync() as number[][];
const numbers = (x: tf.Tensor | undefined) => Array.from(x?.dataSync() ?? []);

const coordinate = fc.double({ min: -1.5, max: 1.5, noNaN: true });
const noise = fc.double({ min: -2, max: 2, noNaN: true });
const vector = (one: fc.Arbitrary<number>) => fc.tuple(one, one);
const steps = fc.record({
  x: vector(coordinate),
  xi: vector(noise),
  u: fc.double({ min: 0, max: 1, noNaN: true }),
  eta: fc.double({ min: 0.01, max: 0.5, noNaN: true }),
  T: fc.double({ min: 0.5, max: 2, noNaN: true }),
});

describe("MALA", () => {
  it("proposes a Langevin step and takes it with the ratio of Metropolis and Hastings", () => {
    fc.assert(
      fc.property(steps, ({ x, xi, u, eta, T }) => {
        tf.tidy(() => {
          const y = x.map((v, i) => v + eta * (grad(x)[i] as number) + Math.sqrt(2 * eta * T) * (xi[i] as number));
          // log q(b|a) up to a constant: −|b − a − η∇log p(a)|²/(4ηT).
          const logq = (b: readonly number[], a: readonly number[]) =>
            -b.reduce((s, v, i) => s + (v - (a[i] as number) - eta * (grad(a)[i] as number)) ** 2, 0) / (4 * eta * T);
          const ratio = Math.exp((logp(y) - logp(x)) / T + logq(x, y) - logq(y, x));
          const given = { xi: tf.tensor2d([[...xi]]), accept: tf.tensor1d([u]) };
          const [next, info] = mala(T).step(stateAt([x], eta), given, quartic);
          expect(numbers(info.acceptance)[0]).toBeCloseTo(Math.min(1, ratio), 3);
          if (Math.abs(u - ratio) < 1e-3 * (1 + ratio)) return;
          const at = u < ratio ? y : x;
          rows(next.x)[0]?.forEach((v, i) => {
            expect(v).toBeCloseTo(at[i] as number, 4);
          });
          expect(numbers(next.logp)[0]).toBeCloseTo(logp(at), 3);
          expect(numbers(next.eta)[0]).toBe(Math.fround(eta));
        });
      }),
    );
  });

  it.each([Number.NaN, Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY])(
    "rejects every proposal of log-density or gradient %d, in that chain alone",
    (bad) => {
      tf.tidy(() => {
        const spoiled = targetOf((x) => {
          const { logp, grad } = quartic(x);
          const first = tf.tensor1d([1, 0], "bool");
          return { logp: tf.where(first, tf.fill([2], bad), logp), grad };
        });
        const given = { xi: tf.zeros([2, 2]), accept: tf.zeros([2]) };
        const start = stateAt(
          [
            [0.5, 0.5],
            [0.5, 0.5],
          ],
          0.1,
        );
        const [next, info] = mala().step(start, given, spoiled);
        expect(numbers(info.finite)).toEqual([0, 1]);
        expect(rows(next.x)[0]).toEqual([0.5, 0.5]);
        expect(rows(next.x)[1]).not.toEqual([0.5, 0.5]);
        expect(numbers(meanAcceptance(info))[0]).toBeCloseTo((numbers(info.acceptance)[1] as number) / 2, 6);
      });
    },
  );
});

describe("ULA", () => {
  it("takes every Langevin step that is finite", () => {
    fc.assert(
      fc.property(steps, ({ x, xi, eta, T }) => {
        tf.tidy(() => {
          const [next, info] = ula(T).step(stateAt([x], eta), { xi: tf.tensor2d([[...xi]]) }, quartic);
          rows(next.x)[0]?.forEach((v, i) => {
            const to = (x[i] as number) + eta * (grad(x)[i] as number) + Math.sqrt(2 * eta * T) * (xi[i] as number);
            expect(v).toBeCloseTo(to, 4);
          });
          expect(info.acceptance).toBeUndefined();
          expect(numbers(meanAcceptance(info))).toEqual([1]);
        });
      }),
    );
  });
});

describe("independence Metropolis", () => {
  it("moves to a draw of the prior with the ratio of the rest of the density", () => {
    fc.assert(
      fc.property(steps, vector(coordinate), ({ x, u, eta, T }, y) => {
        tf.tidy(() => {
          const logPrior = (at: tf.Tensor) => tf.mul(-0.5, tf.sum(tf.square(at), 1));
          const prior = (at: readonly number[]) => -0.5 * at.reduce((s, v) => s + v * v, 0);
          const ratio = Math.exp((logp(y) - logp(x)) / T + prior(x) - prior(y));
          const given = { y: tf.tensor2d([[...y]]), accept: tf.tensor1d([u]) };
          const target = targetOf(quartic, { logPrior });
          const [next, info] = independence(T).step(stateAt([x], eta), given, target);
          expect(numbers(info.acceptance)[0]).toBeCloseTo(Math.min(1, ratio), 3);
          if (Math.abs(u - ratio) < 1e-3 * (1 + ratio)) return;
          (u < ratio ? y : x).forEach((v, i) => {
            expect(rows(next.x)[0]?.[i]).toBeCloseTo(v, 5);
          });
        });
      }),
    );
  });
});

describe("burn-in", () => {
  it("bounds the drift by the scale, which grows while the gradient keeps its sign and shrinks when it turns", () => {
    tf.tidy(() => {
      // A slope that never ends, and a well whose other side is met at once.
      const slope = targetOf((x) => ({ logp: tf.sum(tf.mul(100, x), 1), grad: tf.fill(x.shape, 100) }));
      const start = { ...startBurnIn({ ...stateAt([[0, 0]], 0.01) }), ...slope(tf.zeros([1, 2])) };
      const [next] = burnIn().step(start as never, { xi: tf.zeros([1, 2]) }, slope);
      expect(rows(next.x)[0]?.[0]).toBeCloseTo(0.1, 6);
      expect(rows(next.scale)[0]?.[0]).toBeCloseTo(0.13, 6);
      const well = targetOf((x) => ({ logp: tf.sum(tf.mul(-1e3, tf.square(x)), 1), grad: tf.mul(-2e3, x) }));
      const x = tf.fill([1, 2], 0.05);
      const [turned] = burnIn().step(
        { x, ...well(x), eta: tf.scalar(0.01), scale: tf.fill([1, 2], 0.1) },
        {
          xi: tf.zeros([1, 2]),
        },
        well,
      );
      expect(rows(turned.scale)[0]?.[0]).toBeCloseTo(0.04, 6);
    });
  });

  it("stays where a site of the model has no density, and tries smaller steps", () => {
    tf.tidy(() => {
      const refuses = targetOf(() => {
        throw new TiltedError("non-finite", "the log-density is NaN");
      });
      const start = startBurnIn(stateAt([[1, 1]], 0.01));
      const [next, info] = burnIn().step(start, { xi: tf.ones([1, 2]) }, refuses);
      expect(rows(next.x)).toEqual([[1, 1]]);
      expect(rows(next.scale)[0]?.[0]).toBeCloseTo(0.04, 6);
      expect(numbers(info.finite)).toEqual([0]);
    });
  });

  it("gives stuck chains the places of others, and leaves those that arrived", () => {
    const far = Float32Array.of(-1, -2, -500, -3, Number.NEGATIVE_INFINITY, -32);
    const takes = resampleStuckChains(far, 2, 1, rootKey(1));
    expect([0, 1, 3, 5].map((c) => takes[c])).toEqual([0, 1, 3, 5]);
    for (const c of [2, 4]) expect([0, 1, 3, 5]).toContain(takes[c]);
    // At a higher temperature so low a density is nothing special.
    expect(resampleStuckChains(far, 2, 100, rootKey(1))[2]).toBe(2);
  });
});

describe("dual averaging", () => {
  /** Hoffman & Gelman 2014, algorithm 5, in doubles. */
  function reference(first: number, acceptances: readonly number[], target: number) {
    const mu = Math.log(10 * first);
    let [error, logStep, logAverage] = [0, Math.log(first), Math.log(first)];
    acceptances.forEach((a, i) => {
      const t = i + 1;
      error = (1 - 1 / (t + 10)) * error + (target - a) / (t + 10);
      logStep = mu - (Math.sqrt(t) / 0.05) * error;
      logAverage = t ** -0.75 * logStep + (1 - t ** -0.75) * logAverage;
    });
    return { step: Math.exp(logStep), average: Math.exp(logAverage) };
  }

  it("is that of the paper, carried beside the state of any kernel", () => {
    const share = fc.double({ min: 0, max: 1, noNaN: true });
    fc.assert(
      fc.property(fc.array(share, { minLength: 1, maxLength: 60 }), (acceptances) => {
        tf.tidy(() => {
          let i = 0;
          const accepting = adapting<{}>(
            {
              name: "any",
              noise: {},
              step: (state) => [
                state,
                { acceptance: tf.fill([4], acceptances[i++] as number), finite: tf.ones([4], "bool") },
              ],
            },
            0.6,
          );
          let state = startAdapting(stateAt([[0, 0]], 0.1));
          for (const _ of acceptances) [state] = accepting.step(state, {}, quartic);
          const { step, average } = reference(0.1, acceptances, 0.6);
          expect((numbers(state.eta)[0] as number) / step).toBeCloseTo(1, 3);
          const end = endAdapting(state);
          expect((numbers(end.eta)[0] as number) / average).toBeCloseTo(1, 3);
          expect(Object.keys(end).sort()).toEqual(["eta", "grad", "logp", "x"]);
        });
      }),
      { numRuns: 25 },
    );
  });
});
