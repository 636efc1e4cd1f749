/** not-MIWAE with every likelihood and mask model against integrals, the gradient of its exact evidence, and what lies under its masks. */

import * as tf from "@tensorflow/tfjs-core";
import fc from "fast-check";
import { infer, iwae, model, type NdArray, ndarray, plate, sample, snis } from "tilted";
import { hide } from "tilted/data";
import { normal } from "tilted/dist";
import {
  binary,
  gaussian,
  type Likelihood,
  linearMask,
  type MaskModel,
  networkMask,
  notMiwae,
  pointNet,
  selfMasking,
  student,
} from "tilted/models";
import { adam, sgd } from "tilted/optim";
import { describe, expect, it } from "vitest";
import { scope } from "../../src/core/scope.ts";
import { interpret } from "../../src/effects/interpret.ts";
import { ensureEngine } from "../../src/engine/engine.ts";
import { integrate } from "../support/quadrature.ts";
import { expectEstimate, expectMean, twoSided } from "../support/statistics.ts";

const rowsOf = (rows: readonly (readonly number[])[]): NdArray =>
  ndarray(Float32Array.from(rows.flat()), [rows.length, rows[0]?.length ?? 0]);
const inverseSoftplus = (y: number) => Math.log(Math.expm1(y));
const sigmoid = (v: number) => 1 / (1 + Math.exp(-v));
const gauss = (v: number) => Math.exp((-v * v) / 2) / Math.sqrt(2 * Math.PI);

const W = [0.8, -0.6, 0.5];
const MU = [0.2, -0.1, 0.4];
const SIGMA = 0.7;
const FLOOR = 1e-3;
const loc = (z: number, j: number) => (MU[j] as number) + (W[j] as number) * z;
const head = (name: string) => ({
  [`decoder/${name}/weight`]: ndarray(Float32Array.from(W), [1, 3]),
  [`decoder/${name}/bias`]: ndarray(Float32Array.from(MU)),
});
const flat = (name: string, value: number) => ({
  [`decoder/${name}/weight`]: ndarray(new Float32Array(3), [1, 3]),
  [`decoder/${name}/bias`]: ndarray(new Float32Array(3).fill(value)),
});

/** A likelihood with its parameters, its density of an entry given z, and ∫ or Σ over what is missing. */
interface Part {
  readonly likelihood: Likelihood;
  readonly params: { readonly [name: string]: NdArray };
  density(x: number, z: number, j: number): number;
  over(f: (x: number) => number): number;
  readonly row: readonly number[];
}
const line = (f: (x: number) => number) => integrate(f, -9, 9, 400);
/** Student's t of four degrees: Γ(2.5)/(Γ(2)√(4π)) = 3/8. */
const t4 = (u: number) => 0.375 * (1 + (u * u) / 4) ** -2.5;
const LIKELIHOODS: { readonly [name: string]: Part } = {
  Gaussian: {
    likelihood: gaussian({ floor: FLOOR }),
    params: { ...head("loc"), "decoder/log-scale": ndarray(Float32Array.of(inverseSoftplus(SIGMA - FLOOR))) },
    density: (x, z, j) => gauss((x - loc(z, j)) / SIGMA) / SIGMA,
    over: line,
    row: [0.4, -0.9, 0.7],
  },
  "Student-t": {
    likelihood: student({ floor: FLOOR }),
    params: { ...head("loc"), ...flat("scale", inverseSoftplus(SIGMA - FLOOR)), ...flat("df", inverseSoftplus(1)) },
    density: (x, z, j) => t4((x - loc(z, j)) / SIGMA) / SIGMA,
    over: (f) => integrate(f, -40, 40, 1600),
    row: [0.4, -0.9, 0.7],
  },
  Bernoulli: {
    likelihood: binary(),
    params: head("logits"),
    density: (x, z, j) => (x === 1 ? sigmoid(loc(z, j)) : sigmoid(-loc(z, j))),
    over: (f) => f(0) + f(1),
    row: [1, 0, 1],
  },
};

const SLOPES = [1.2, 0.7, 1.5];
const CENTRES = [0.3, -0.2, 0.1];
const MIX = [
  [0.5, -0.4, 0.2],
  [-0.3, 0.6, 0.7],
  [0.8, 0.1, -0.9],
];
interface Mechanism {
  readonly params: { readonly [name: string]: NdArray };
  /** P(s_j = 1 | x). */
  seen(x: readonly number[], j: number): number;
}
const self = (sign: number, size: (v: number) => number = inverseSoftplus): Mechanism => ({
  params: {
    "mask/slope": ndarray(Float32Array.from(SLOPES, size)),
    "mask/centre": ndarray(Float32Array.from(CENTRES)),
  },
  seen: (x: readonly number[], j: number) =>
    sigmoid(-sign * (SLOPES[j] as number) * ((x[j] as number) - (CENTRES[j] as number))),
});
const MASKS: { readonly [name: string]: { readonly mask: MaskModel } & Mechanism } = {
  "large values hide": { mask: selfMasking(), ...self(1) },
  "small values hide": { mask: selfMasking({ hides: "low" }), ...self(-1) },
  "either sign": { mask: selfMasking({ hides: "free" }), ...self(-1, (v) => -v) },
  "all entries, linear": {
    mask: linearMask(),
    params: {
      "mask/weight": ndarray(Float32Array.from(MIX.flat()), [3, 3]),
      "mask/bias": ndarray(Float32Array.from(CENTRES)),
    },
    seen: (x, j) =>
      sigmoid((CENTRES[j] as number) + x.reduce((s, v, i) => s + v * ((MIX[i] as number[])[j] as number), 0)),
  },
};

describe("evidence and imputation of one hidden entry", () => {
  const cases = [
    ...Object.keys(MASKS).map((mask) => ["Gaussian", mask] as const),
    ["Student-t", "large values hide"] as const,
    ["Bernoulli", "large values hide"] as const,
    ["Bernoulli", "all entries, linear"] as const,
  ];
  it.each(cases)("%s, %s: as by quadrature over z and the entry", async (name, how) => {
    const { likelihood, params, density, over, row } = LIKELIHOODS[name] as Part;
    const { mask: maskModel, params: maskParams, seen } = MASKS[how] as (typeof MASKS)[string];
    const masks = [0, 1, 2].map((j) => [0, 1, 2].map((k) => (k === j ? 0 : 1)));
    const net = notMiwae({ features: 3, latent: 1, hidden: [4], decoderHidden: [], likelihood }, maskModel);
    const all = [0, 1, 2].map(() => row);
    const found = await infer(net.model, snis(60_000, { rows: "each", keep: false }), {
      args: [hide(rowsOf(all), rowsOf(masks)), rowsOf(masks)],
      params: { ...params, ...maskParams },
      seed: 1,
    });
    const imputed = found.mean("imputed");
    for (const m of [0, 1, 2]) {
      const weight = (entry: number, power: number) => {
        const x = row.map((v, j) => (j === m ? entry : v));
        const s = x.reduce((p, _, j) => p * (j === m ? 1 - seen(x, j) : seen(x, j)), 1);
        return (
          entry ** power * s * integrate((z) => gauss(z) * x.reduce((p, v, j) => p * density(v, z, j), 1), -7, 7, 200)
        );
      };
      const [evidence, first] = [over((v) => weight(v, 0)), over((v) => weight(v, 1))];
      const { value, standardError } = found.rowEvidence;
      expectEstimate({ value: value[m] as number, standardError: standardError[m] as number }, Math.log(evidence), {
        detects: 0.12,
      });
      const at = 4 * m;
      expectEstimate(
        { value: imputed.value.data[at] as number, standardError: imputed.standardError.data[at] as number },
        first / evidence,
        { detects: 0.12 },
      );
    }
  });

  it("fits, whatever the likelihood, and the fit's bound rises", async () => {
    for (const { likelihood, row } of Object.values(LIKELIHOODS)) {
      const n = 40;
      const x = rowsOf(Array.from({ length: n }, (_, i) => row.map((v, j) => (i % 3 === j ? v : (row[0] as number)))));
      const mask = rowsOf(Array.from({ length: n }, (_, i) => [i % 2, (i + 1) % 2, 1]));
      const net = notMiwae({ features: 3, latent: 1, hidden: [4], likelihood });
      const args: [NdArray, NdArray] = [hide(x, mask), mask];
      const bound = async (steps: number) =>
        (
          await infer(net.model, iwae(net.guide, 5, { optimizer: adam(5e-2), steps }), {
            args,
            seed: 1,
            engine: "wasm",
          })
        ).bound.value;
      expect(await bound(50)).toBeGreaterThan((await bound(1)) + 5);
    }
  });
});

const cdf = (t: number) => (t > 0 ? 1 - twoSided(t) / 2 : twoSided(t) / 2);

it("with probit self-masking the bound of many particles has the gradient of the exact evidence", async () => {
  // log p(x_o) + log Φ(t) + Σ_o log Φ(−w(x − b)), t = w(m − b)/√(1 + w²v), entry 0 hidden.
  const row = [0, 0.6, -0.4];
  const [x, mask] = [rowsOf([[Number.NaN, 0.6, -0.4]]), rowsOf([[0, 1, 1]])];
  const evidence = (slopes: readonly number[], centres: readonly number[], mu: readonly number[]): number => {
    const [w1, w2] = [W[1] as number, W[2] as number];
    const [u1, u2] = [(row[1] as number) - (mu[1] as number), (row[2] as number) - (mu[2] as number)];
    const precision = 1 + (w1 * w1 + w2 * w2) / SIGMA ** 2;
    const mean = (w1 * u1 + w2 * u2) / SIGMA ** 2 / precision;
    const [c11, c12, c22] = [w1 * w1 + SIGMA ** 2, w1 * w2, w2 * w2 + SIGMA ** 2];
    const det = c11 * c22 - c12 * c12;
    const observed =
      -Math.log(2 * Math.PI) - Math.log(det) / 2 - (c22 * u1 * u1 - 2 * c12 * u1 * u2 + c11 * u2 * u2) / (2 * det);
    const m = (mu[0] as number) + (W[0] as number) * mean;
    const v = (W[0] as number) ** 2 / precision + SIGMA ** 2;
    const [a, b] = [slopes[0] as number, centres[0] as number];
    const t = (a * (m - b)) / Math.sqrt(1 + a * a * v);
    return [1, 2].reduce(
      (s, j) => s + Math.log(cdf(-(slopes[j] as number) * ((row[j] as number) - (centres[j] as number)))),
      observed + Math.log(cdf(t)),
    );
  };
  const net = notMiwae(
    { features: 3, latent: 1, hidden: [4], decoderHidden: [], likelihood: gaussian({ floor: FLOOR }) },
    selfMasking({ link: "probit", hides: "free" }),
  );
  // q(z | x_o), exactly; the noise from its prior.
  const precision = 1 + ((W[1] as number) ** 2 + (W[2] as number) ** 2) / SIGMA ** 2;
  const mean =
    ((W[1] as number) * (0.6 - (MU[1] as number)) + (W[2] as number) * (-0.4 - (MU[2] as number))) / SIGMA ** 2;
  const guide = model(function* (_x: NdArray, _mask: NdArray) {
    yield* plate("data", 1, function* () {
      yield* sample("z", normal(tf.tensor2d([[mean / precision]]), 1 / Math.sqrt(precision)).event(1));
      yield* sample("noise", normal(tf.zeros([3]), 1).event(1));
    });
  });
  const start = {
    ...(LIKELIHOODS.Gaussian as Part).params,
    "mask/slope": ndarray(Float32Array.from(SLOPES)),
    "mask/centre": ndarray(Float32Array.from(CENTRES)),
  };
  const found: { [name: string]: number[][] } = { "mask/slope": [], "mask/centre": [], "decoder/loc/bias": [] };
  for (let seed = 1; seed <= 24; seed++) {
    const fit = await infer(net.model, iwae(guide, 4000, { optimizer: sgd(1), steps: 1, boundDraws: 1 }), {
      args: [x, mask],
      params: start,
      seed,
    });
    for (const [name, rows] of Object.entries(found)) {
      const from = (start as { [name: string]: NdArray })[name] as NdArray;
      rows.push(Array.from(from.data, (v, j) => (fit.params[name]?.data[j] as number) - v));
    }
  }
  const H = 1e-3;
  const at = { "mask/slope": SLOPES, "mask/centre": CENTRES, "decoder/loc/bias": MU } as { [name: string]: number[] };
  for (const [name, rows] of Object.entries(found))
    for (const j of [0, 1, 2]) {
      const moved = (by: number) => {
        const now = { ...at, [name]: (at[name] as number[]).map((v, k) => (k === j ? v + by : v)) };
        return evidence(
          now["mask/slope"] as number[],
          now["mask/centre"] as number[],
          now["decoder/loc/bias"] as number[],
        );
      };
      const truth = (moved(H) - moved(-H)) / (2 * H);
      const got = rows.map((row) => row[j] as number);
      // What does not depend on the draws has no noise to test by.
      if (name.startsWith("mask") && j > 0) for (const g of got) expect(g).toBeCloseTo(truth, 3);
      else expectMean(got, truth, { what: `${name} ${j}`, detects: 0.1 });
    }
});

describe("what lies under the mask", () => {
  const masks = fc.array(fc.array(fc.constantFrom(0, 1), { minLength: 3, maxLength: 3 }), {
    minLength: 2,
    maxLength: 2,
  });
  const models: { readonly [name: string]: MaskModel } = {
    "self-masking": selfMasking(),
    probit: selfMasking({ link: "probit", hides: "free" }),
    linear: linearMask(),
    network: networkMask({ hidden: [4] }),
  };
  it.each(Object.keys(models))("reaches neither value nor gradient of a not-MIWAE: %s", async (name) => {
    await fc.assert(
      fc.asyncProperty(masks, fc.constantFrom(...Object.values(LIKELIHOODS)), async (rows, { likelihood }) => {
        // A row with nothing and a row with everything are always there.
        const mask = rowsOf([...rows, [0, 0, 0], [1, 1, 1]]);
        const values = rowsOf([0, 1, 2, 3].map((i) => [i % 2, (i + 1) % 2, 1]));
        const net = notMiwae({ features: 3, latent: 2, hidden: [4], likelihood }, models[name]);
        const fitted = async (hole: number) => {
          const fit = await infer(net.model, iwae(net.guide, 3, { optimizer: adam(1e-2), steps: 2 }), {
            args: [hide(values, mask, hole), mask],
            seed: 1,
            engine: "wasm",
          });
          return [fit.bound.value, ...Object.values(fit.params).flatMap(({ data }) => [...data])];
        };
        const [a, c] = [await fitted(Number.NaN), await fitted(1e30)];
        expect(a.every(Number.isFinite)).toBe(true);
        expect(c).toEqual(a);
      }),
      { numRuns: 3, seed: 1 },
    );
  });

  it.each(["concat", "product"] as const)(
    "adds nothing to the sum of a point net (%s), not even its bias: a table without the column has the same sum",
    async (form) => {
      await ensureEngine();
      const [width, embedding] = [4, 3];
      const inputs = form === "concat" ? embedding + 1 : embedding;
      const numbers = (n: number, shape: number[]) =>
        ndarray(
          Float32Array.from({ length: n }, (_, i) => Math.sin(3 * i + 1)),
          shape,
        );
      const e = numbers(9, [3, embedding]);
      const shared = {
        "encoder/entry/weight": numbers(inputs * width, [inputs, width]),
        "encoder/entry/bias": ndarray(Float32Array.of(2, -1, 3, 0.5)),
      };
      const sumOf = (x: readonly number[], mask: readonly number[], rows: readonly number[]) =>
        scope(() => {
          const params = {
            "encoder/entry/weight": shared["encoder/entry/weight"].tensor(),
            "encoder/entry/bias": shared["encoder/entry/bias"].tensor(),
            "encoder/embedding": tf.tensor2d(
              rows.map((r) => Array.from(e.data.subarray(r * embedding, (r + 1) * embedding))),
            ),
          };
          const encoder = pointNet({ width, embedding, form })(x.length);
          const program = encoder.program(tf.tensor2d([[...x]]), tf.tensor2d([[...mask]]));
          return [...interpret(program, { params }).result.dataSync()];
        });
      const whole = sumOf([0.4, Number.NaN, -1.2], [1, 0, 1], [0, 1, 2]);
      const without = sumOf([0.4, -1.2], [1, 1], [0, 2]);
      whole.forEach((v, j) => {
        expect(v).toBeCloseTo(without[j] as number, 5);
      });
      expect(sumOf([Number.NaN, Number.NaN, Number.NaN], [0, 0, 0], [0, 1, 2])).toEqual([0, 0, 0, 0]);
      expect(Math.max(...whole)).toBeGreaterThan(0.1);
    },
  );
});
