/** MIWAE and not-MIWAE against exact answers: their decoder is made linear, so that all of it is Gaussian. */
import * as tf from "@tensorflow/tfjs-core";
import fc from "fast-check";
import { infer, iwae, type NdArray, ndarray, snis } from "tilted";
import { aboveMean, hide } from "tilted/data";
import {
  binary,
  gaussian,
  learntConstant,
  linearMask,
  type MiwaeOptions,
  miwae,
  mixedTable,
  networkMask,
  notMiwae,
  pointNet,
  selfMasking,
  student,
  zeroFilled,
} from "tilted/models";
import { adam } from "tilted/optim";
import { describe, expect, it } from "vitest";
import { rootKey } from "../../src/core/key.ts";
import { normal } from "../../src/core/random/draws.ts";
import {
  apply,
  identity,
  inverse,
  type Matrix,
  normalLogDensity,
  plus,
  subtract,
  times,
  transpose,
} from "../support/matrix.ts";
import { expectEstimate, twoSided } from "../support/statistics.ts";

const W: Matrix = [[0.8], [-0.6], [0.5]];
const MU = [0.2, -0.1, 0.4];
const SIGMA = 0.7;
const FLOOR = 1e-3;
const C = plus(times(W, transpose(W)), identity(3, SIGMA ** 2));

const linear = { features: 3, latent: 1, hidden: [8], decoderHidden: [] } satisfies MiwaeOptions;
const params = {
  "decoder/loc/weight": ndarray(Float32Array.from(W.flat()), [1, 3]),
  "decoder/loc/bias": ndarray(Float32Array.from(MU)),
  "decoder/log-scale": ndarray(Float32Array.of(Math.log(Math.expm1(SIGMA - FLOOR)))),
};

const rowsOf = (rows: readonly (readonly number[])[]): NdArray =>
  ndarray(Float32Array.from(rows.flat()), [rows.length, rows[0]?.length ?? 0]);

/** E and covariance of the entries `m` given those in `o`. */
function conditional(o: readonly number[], m: readonly number[], x: readonly number[]) {
  const part = (a: readonly number[], b: readonly number[]): Matrix =>
    a.map((i) => b.map((j) => C[i]?.[j] ?? Number.NaN));
  const mean = m.map((i) => MU[i] as number);
  if (o.length === 0) return { mean, covariance: part(m, m) };
  const gain = times(part(m, o), inverse(part(o, o)));
  const shift = apply(
    gain,
    subtract(
      o.map((i) => x[i] as number),
      o.map((i) => MU[i] as number),
    ),
  );
  return {
    mean: mean.map((v, i) => v + (shift[i] as number)),
    covariance: plus(
      part(m, m),
      times(gain, part(o, m)).map((row) => row.map((v) => -v)),
    ),
  };
}

const X = [
  [0.5, -1, 0.3],
  [1.2, 0.4, -0.8],
  [0, 0, 0],
  [-1.5, 0.9, 2],
];
const MASK = [
  [1, 1, 1],
  [1, 0, 0],
  [0, 0, 0],
  [0, 1, 1],
];

describe("MIWAE with a linear decoder", () => {
  const net = miwae(linear);
  const [x, mask] = [hide(rowsOf(X), rowsOf(MASK)), rowsOf(MASK)];

  it("has the evidence of what is observed, and its conditional means, row by row", async () => {
    const found = await infer(net.model, snis(60_000, { rows: "each", keep: false }), {
      args: [x, mask],
      params,
      seed: 1,
    });
    const imputed = found.mean("imputed");
    const bounds = found.evidence ?? expect.fail("no bounds");
    let total = 0;
    MASK.forEach((row, i) => {
      const o = [0, 1, 2].filter((j) => row[j] === 1);
      const m = [0, 1, 2].filter((j) => row[j] === 0);
      const values = X[i] as number[];
      const marginal = o.map((a) => o.map((b) => C[a]?.[b] ?? Number.NaN));
      const truth =
        o.length === 0
          ? 0
          : normalLogDensity(
              o.map((j) => values[j] as number),
              o.map((j) => MU[j] as number),
              marginal,
            );
      const { value, standardError } = found.rowEvidence;
      total += truth;
      const { lower, upper } = bounds.rows[i] ?? bounds;
      expect(lower.value - 6 * lower.standardError).toBeLessThanOrEqual(truth);
      expect(upper.value + 6 * upper.standardError).toBeGreaterThanOrEqual(truth);
      expect(upper.value).toBeGreaterThanOrEqual(lower.value);
      if (o.length === 0) expect(value[i]).toBeCloseTo(0, 6);
      else
        expectEstimate({ value: value[i] as number, standardError: standardError[i] as number }, truth, {
          detects: 0.08,
        });
      const { mean } = conditional(o, m, values);
      m.forEach((j, k) => {
        const at = 3 * i + j;
        expectEstimate(
          { value: imputed.value.data[at] as number, standardError: imputed.standardError.data[at] as number },
          mean[k] as number,
          { detects: 0.06 },
        );
      });
      for (const j of o) expect(imputed.value.data[3 * i + j]).toBeCloseTo(values[j] as number, 5);
    });
    expect(bounds.lower.value).toBeCloseTo(found.logEvidence.value, 4);
    expect(Math.abs(bounds.upper.value - total)).toBeLessThan(0.1);
  });

  it("learns it by the bound: a Gaussian with half of one column missing", async () => {
    // N(0, [[2, 1], [1, 2]]) is a probabilistic PCA of one latent; E log p(x_o) = -2.5763 a row at these shares.
    const n = 1000;
    const e = normal(rootKey("two"), 2 * n);
    const data = Float32Array.from({ length: 2 * n }, (_, at) => {
      const [a, b] = [e[at - (at % 2)] as number, e[at - (at % 2) + 1] as number];
      return at % 2 === 0 ? Math.SQRT2 * a : (a + Math.sqrt(3) * b) / Math.SQRT2;
    });
    const seen = ndarray(
      Float32Array.from({ length: 2 * n }, (_, at) => (at % 2 === 0 && at < n ? 0 : 1)),
      [n, 2],
    );
    const complete = ndarray(data, [n, 2]);
    const two = miwae({ features: 2, latent: 1, hidden: [32], decoderHidden: [], batch: 100 });
    const args: [NdArray, NdArray] = [hide(complete, seen), seen];
    const fit = await infer(two.model, iwae(two.guide, 5, { optimizer: adam(1e-2), steps: 1500 }), { args, seed: 1 });
    expect(fit.bound.value / n).toBeGreaterThan(-2.66);
    const filled = await infer(two.model, snis(500, { proposal: two.guide, rows: "each", keep: false }), {
      args,
      params: fit.params,
      seed: 2,
    });
    const { data: mean } = filled.mean("imputed").value;
    let error = 0;
    for (let at = 0; at < n; at += 2) error += ((mean[at] as number) - (data[at] as number)) ** 2 / (n / 2);
    // The exact conditional mean, x₂/2, has 1.5 in expectation; on these rows a little else.
    let oracle = 0;
    for (let at = 0; at < n; at += 2) oracle += ((data[at + 1] as number) / 2 - (data[at] as number)) ** 2 / (n / 2);
    expect(error / oracle).toBeLessThan(1.03);
  });
});

const cdf = (t: number) => (t > 0 ? 1 - twoSided(t) / 2 : twoSided(t) / 2);
const pdf = (t: number) => Math.exp((-t * t) / 2) / Math.sqrt(2 * Math.PI);

describe("not-MIWAE with a linear decoder and probit self-masking", () => {
  // P(s = 0 | x) = Φ(w(x − b)), with one entry missing: p(x_o) Φ(t) Π_o Φ(−w(x − b)), t = w(m − b)/√(1 + w²v).
  const w = [1.2, 0.7, 1.5];
  const b = [0.3, -0.2, 0.1];
  const net = notMiwae(linear, selfMasking({ link: "probit" }));
  const all = {
    ...params,
    "mask/slope": ndarray(Float32Array.from(w, (v) => Math.log(Math.expm1(v)))),
    "mask/centre": ndarray(Float32Array.from(b)),
  };

  it("has the exact evidence and the mean of what hides itself", async () => {
    const rows = [0, 1, 2].map((j) => [0, 1, 2].map((k) => (k === j ? 0 : 1)));
    const values = [
      [0, 0.6, -0.4],
      [0.2, 0, 0.9],
      [-0.7, 0.1, 0],
    ];
    const [x, mask] = [hide(rowsOf(values), rowsOf(rows)), rowsOf(rows)];
    const found = await infer(net.model, snis(60_000, { rows: "each", keep: false }), {
      args: [x, mask],
      params: all,
      seed: 3,
    });
    const imputed = found.mean("imputed");
    rows.forEach((_, j) => {
      const o = [0, 1, 2].filter((k) => k !== j);
      const xs = values[j] as number[];
      const { mean, covariance } = conditional(o, [j], xs);
      const [m, v] = [mean[0] as number, covariance[0]?.[0] as number];
      const [slope, centre] = [w[j] as number, b[j] as number];
      const spread = Math.sqrt(1 + slope ** 2 * v);
      const t = (slope * (m - centre)) / spread;
      const marginal = o.map((a) => o.map((c) => C[a]?.[c] ?? Number.NaN));
      const truth =
        normalLogDensity(
          o.map((k) => xs[k] as number),
          o.map((k) => MU[k] as number),
          marginal,
        ) +
        Math.log(cdf(t)) +
        o.reduce((sum, k) => sum + Math.log(cdf(-(w[k] as number) * ((xs[k] as number) - (b[k] as number)))), 0);
      const { value, standardError } = found.rowEvidence;
      expectEstimate({ value: value[j] as number, standardError: standardError[j] as number }, truth, { detects: 0.1 });
      const at = 3 * j + j;
      expectEstimate(
        { value: imputed.value.data[at] as number, standardError: imputed.standardError.data[at] as number },
        m + ((v * slope) / spread) * (pdf(t) / cdf(t)),
        { detects: 0.08 },
      );
    });
  });

  it("imputes above the mean what hides above the mean, where MIWAE does not", async () => {
    const n = 400;
    const e = normal(rootKey("mnar"), 4 * n);
    const data = ndarray(
      Float32Array.from({ length: 3 * n }, (_, at) => {
        const [i, j] = [Math.floor(at / 3), at % 3];
        return (e[4 * i] as number) * 0.9 + (e[4 * i + 1 + j] as number) * 0.5;
      }),
      [n, 3],
    );
    const mask = aboveMean(data, { columns: [0] });
    const args: [NdArray, NdArray] = [hide(data, mask), mask];
    const options = { ...linear, batch: 64 };
    const rmse = async (net: ReturnType<typeof miwae> | ReturnType<typeof notMiwae>) => {
      const model = net as ReturnType<typeof miwae>;
      const fit = await infer(model.model, iwae(model.guide, 10, { optimizer: adam(1e-2), steps: 600 }), {
        args,
        seed: 1,
      });
      const filled = await infer(model.model, snis(300, { proposal: model.guide, rows: "each", keep: false }), {
        args,
        params: fit.params,
        seed: 2,
      });
      const { data: mean } = filled.mean("imputed").value;
      let [sum, count] = [0, 0];
      mask.data.forEach((seen: number, at: number) => {
        if (seen === 1) return;
        sum += ((mean[at] as number) - (data.data[at] as number)) ** 2;
        count++;
      });
      return Math.sqrt(sum / count);
    };
    const [without, withMask] = [await rmse(miwae(options)), await rmse(notMiwae(options))];
    expect(withMask).toBeLessThan(0.75 * without);
  });
});

describe("what lies under the mask", () => {
  const encodings = {
    zero: zeroFilled(),
    "zero and mask": zeroFilled({ mask: true }),
    constant: learntConstant(),
    "point net": pointNet({ width: 6, embedding: 3 }),
    "point net, product": pointNet({ width: 6, embedding: 3, form: "product" }),
  };
  const likelihoods = {
    gaussian: gaussian({ scale: "feature" }),
    heads: gaussian({ scale: "head" }),
    student: student(),
    binary: binary(),
    table: mixedTable(["real", "binary", "real"]),
  };
  const masks = fc.array(fc.array(fc.constantFrom(0, 1), { minLength: 3, maxLength: 3 }), {
    minLength: 4,
    maxLength: 4,
  });

  it.each(Object.keys(encodings))("reaches neither value nor gradient: encoder %s", async (name) => {
    const encoding = encodings[name as keyof typeof encodings];
    await fc.assert(
      fc.asyncProperty(masks, fc.constantFrom(...Object.values(likelihoods)), async (rows, likelihood) => {
        // A row with nothing and a row with everything are always there.
        const mask = rowsOf([...rows, [0, 0, 0], [1, 1, 1]]);
        const values = ndarray(
          Float32Array.from({ length: 18 }, (_, i) => (i % 5) / 5),
          [6, 3],
        );
        const net = miwae({ features: 3, latent: 2, hidden: [4], likelihood, encoding });
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
      { numRuns: 4, seed: 1 },
    );
  });

  it.each([
    ["self-masking", selfMasking({ hides: "free" })],
    ["linear", linearMask()],
    ["network", networkMask({ hidden: [4] })],
  ] as const)("reaches no mask model: %s", async (_, maskModel) => {
    const mask = rowsOf([...MASK, [0, 0, 0], [1, 1, 1]]);
    const values = ndarray(
      Float32Array.from({ length: 18 }, (__, i) => (i % 5) / 5),
      [6, 3],
    );
    const net = notMiwae({ features: 3, latent: 2, hidden: [4] }, maskModel);
    const fit = await infer(net.model, iwae(net.guide, 3, { optimizer: adam(1e-2), steps: 3 }), {
      args: [hide(values, mask), mask],
      seed: 1,
      engine: "wasm",
    });
    expect(
      [fit.bound.value, ...Object.values(fit.params).flatMap(({ data }) => [...data])].every(Number.isFinite),
    ).toBe(true);
  });

  it("is asked for in its shape, and classes of a table are not hidden by a mask of features", async () => {
    const net = miwae({ features: 3, latent: 1, hidden: [4] });
    const wrong = infer(net.model, iwae(net.guide, 2, { steps: 1 }), {
      args: [rowsOf(X), rowsOf([[1, 1, 1]])],
      seed: 1,
    });
    await expect(wrong).rejects.toMatchObject({ code: "shape" });
    const table = notMiwae({ features: 3, latent: 1, hidden: [4], likelihood: mixedTable(["real", { classes: 2 }]) });
    const unsupported = infer(table.model, iwae(table.guide, 2, { steps: 1 }), {
      args: [rowsOf(X), rowsOf(MASK)],
      seed: 1,
    });
    await expect(unsupported).rejects.toMatchObject({ code: "unsupported" });
    expect(tf.memory().numTensors).toBe(0);
  });
});
