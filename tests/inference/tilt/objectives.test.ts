/** Objectives of the tilt on discrete tables, where every optimum is exact: no network, no noise. */
import * as tf from "@tensorflow/tfjs-core";
import fc from "fast-check";
import { beforeAll, describe, expect, it } from "vitest";
import { scope } from "../../../src/core/scope.ts";
import { useEngine } from "../../../src/engine/engine.ts";
import {
  contrastive,
  logistic,
  selfNormalized,
  snisLikelihood,
  type TiltObjective,
} from "../../../src/inference/tilt/objectives.ts";

beforeAll(async () => {
  await useEngine("wasm");
});

/** float32 arithmetic on tables of a dozen entries. */
const TOLERANCE = 2e-6;

/** Two distributions over the same k ≥ 2 outcomes, bounded away from 0. */
const tables = fc
  .integer({ min: 2, max: 12 })
  .chain((k) => {
    const weights = fc.array(fc.double({ min: 0.05, max: 1, noNaN: true }), { minLength: k, maxLength: k });
    return fc.tuple(weights, weights);
  })
  .map(([a, b]) => {
    const normalize = (w: number[]) => {
      const total = w.reduce((s, x) => s + x, 0);
      return w.map((x) => x / total);
    };
    return { q: normalize(a), p: normalize(b) };
  });

const sum = (xs: number[]) => xs.reduce((s, x) => s + x, 0);
const zip = (q: number[], p: number[], f: (q: number, p: number) => number) => q.map((x, i) => f(x, p[i] as number));

/** Loss and its gradient at the table E. */
function at(objective: TiltObjective, q: number[], p: number[], E: number[]): { value: number; gradient: number[] } {
  return scope(() => {
    const [wq, wp] = [tf.tensor1d(q), tf.tensor1d(p)];
    const loss = (e: tf.Tensor) => objective.loss({ energy: e, weights: wq }, { energy: e, weights: wp }) as tf.Scalar;
    const { value, grad } = tf.valueAndGrad(loss)(tf.tensor1d(E));
    return { value: value.dataSync()[0] as number, gradient: Array.from(grad.dataSync()) };
  });
}

const ratioEnergy = (q: number[], p: number[]) => zip(q, p, (a, b) => -Math.log(a / b));
const kl = (q: number[], p: number[]) => sum(zip(q, p, (a, b) => a * Math.log(a / b)));
const halfway = (q: number[], p: number[]) => zip(q, p, (a, b) => (a + b) / 2);
const js = (q: number[], p: number[]) => (kl(q, halfway(q, p)) + kl(p, halfway(q, p))) / 2;

interface Case {
  readonly objective: TiltObjective;
  readonly optimum: (q: number[], p: number[]) => number[];
  readonly value: (q: number[], p: number[]) => number;
}

const lambdas = [0.1, 0.25, 1];
const cases: Case[] = [
  { objective: logistic(), optimum: ratioEnergy, value: (q, p) => 2 * Math.log(2) - 2 * js(q, p) },
  { objective: snisLikelihood(), optimum: ratioEnergy, value: (q, p) => -kl(q, p) },
  {
    objective: { ...snisLikelihood(), name: "snis-likelihood, shifted" },
    optimum: (q, p) => ratioEnergy(q, p).map((e) => e + 1.7),
    value: (q, p) => -kl(q, p),
  },
  { objective: selfNormalized(), optimum: ratioEnergy, value: (q, p) => -kl(q, p) },
  ...lambdas.map((lambda) => ({
    objective: contrastive(lambda),
    optimum: (q: number[], p: number[]) => zip(q, p, (a, b) => -(a - b) / (a + b) / (2 * lambda)),
    value: (q: number[], p: number[]) => -sum(zip(q, p, (a, b) => (a - b) ** 2 / (a + b))) / (4 * lambda),
  })),
];

describe.each(cases)("$objective.name", ({ objective, optimum, value }) => {
  it("has its stated optimum and value there: the gradient vanishes and every other table is worse", () => {
    fc.assert(
      fc.property(
        tables,
        fc.integer({ min: 0, max: 11 }),
        fc.double({ min: 0.3, max: 2, noNaN: true }),
        ({ q, p }, i, step) => {
          const best = optimum(q, p);
          const there = at(objective, q, p, best);
          expect(Math.abs(there.value - value(q, p))).toBeLessThan(TOLERANCE * (1 + Math.abs(there.value)));
          for (const g of there.gradient) expect(Math.abs(g)).toBeLessThan(TOLERANCE);
          const worse = at(
            objective,
            q,
            p,
            best.map((e, j) => (j === i % q.length ? e + step : e)),
          );
          expect(worse.value).toBeGreaterThan(there.value);
        },
      ),
      { numRuns: 60 },
    );
  });
});

describe("the contrastive surrogate on the digits' shares", () => {
  const p = [0.12, 0.33, 0.28, 0.2, 0.07];
  const q = [0.2, 0.2, 0.2, 0.2, 0.2];
  const tilted = (lambda: number) => {
    const w = zip(q, p, (a, b) => b * Math.exp((a - b) / (a + b) / (2 * lambda)));
    return w.map((x) => x / sum(w));
  };
  const shares = (xs: number[], digits: number) => xs.map((x) => Number(x.toFixed(digits)));

  it("over-corrects at the customary λ = .1 and is nearly right at λ = 1/4", () => {
    for (const lambda of [0.1, 0.25]) {
      const best = zip(q, p, (a, b) => -(a - b) / (a + b) / (2 * lambda));
      for (const g of at(contrastive(lambda), q, p, best).gradient) expect(Math.abs(g)).toBeLessThan(TOLERANCE);
    }
    expect(shares(tilted(0.1), 2)).toEqual([0.26, 0.06, 0.08, 0.12, 0.48]);
    expect(shares(tilted(0.25), 3)).toEqual([0.201, 0.205, 0.204, 0.203, 0.186]);
  });

  it("refuses a λ that is not positive", () => {
    expect(() => contrastive(0)).toThrow(/lambda must be positive, got 0/);
  });
});
