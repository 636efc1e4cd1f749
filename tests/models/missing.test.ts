/** Incomplete data beyond evidence: gradients, multiple imputations, tables of several kinds, tilts of what is imputed. */
import * as tf from "@tensorflow/tfjs-core";
import { pipe } from "fp-ts/lib/function.js";
import {
  deterministic,
  fitTilt,
  infer,
  iwae,
  model,
  type NdArray,
  ndarray,
  plate,
  sample,
  snis,
  tilt,
  trace,
} from "tilted";
import { aboveMean, hide } from "tilted/data";
import { normal as normalDist } from "tilted/dist";
import { energy, maskAccuracy, miwae, mixedTable, notMiwae, tableFeatures } from "tilted/models";
import { adam, sgd } from "tilted/optim";
import { describe, expect, it } from "vitest";
import { rootKey } from "../../src/core/key.ts";
import { normal, uniform } from "../../src/core/random/draws.ts";
import { identity, inverse, type Matrix, normalLogDensity, plus, times, transpose } from "../support/matrix.ts";
import { expectEstimate, expectMean } from "../support/statistics.ts";

const rowsOf = (rows: readonly (readonly number[])[]): NdArray =>
  ndarray(Float32Array.from(rows.flat()), [rows.length, rows[0]?.length ?? 0]);

const W = [0.8, -0.6, 0.5];
const MU = [0.2, -0.1, 0.4];
const SIGMA = 0.7;
const FLOOR = 1e-3;
const paramsOf = (w: readonly number[], mu: readonly number[]) => ({
  "decoder/loc/weight": ndarray(Float32Array.from(w), [1, 3]),
  "decoder/loc/bias": ndarray(Float32Array.from(mu)),
  "decoder/log-scale": ndarray(Float32Array.of(Math.log(Math.expm1(SIGMA - FLOOR)))),
});
const linear = { features: 3, latent: 1, hidden: [8], decoderHidden: [] };

const X = [
  [0.5, -1, 0.3],
  [1.2, 0, 0],
  [0, 0.9, 2],
];
const MASK = [
  [1, 1, 1],
  [1, 0, 0],
  [0, 1, 1],
];

/** Σ_rows log N(x_o; μ_o, w_o w_oᵀ + σ²I). */
function logEvidence(w: readonly number[], mu: readonly number[]): number {
  return X.reduce((sum, x, i) => {
    const o = [0, 1, 2].filter((j) => MASK[i]?.[j] === 1);
    const column: Matrix = o.map((j) => [w[j] as number]);
    const C = plus(times(column, transpose(column)), identity(o.length, SIGMA ** 2));
    return (
      sum +
      normalLogDensity(
        o.map((j) => x[j] as number),
        o.map((j) => mu[j] as number),
        C,
      )
    );
  }, 0);
}

describe("MIWAE with a linear decoder", () => {
  const net = miwae(linear);
  const [x, mask] = [hide(rowsOf(X), rowsOf(MASK)), rowsOf(MASK)];
  /** q(z | x_o), exactly: precision 1 + Σ_o w²/σ², mean Σ_o w (x − μ)/σ² over it. */
  const posterior = X.map((row, i) => {
    const o = [0, 1, 2].filter((j) => MASK[i]?.[j] === 1);
    const precision = 1 + o.reduce((s, j) => s + (W[j] as number) ** 2 / SIGMA ** 2, 0);
    const mean = o.reduce((s, j) => s + ((W[j] as number) * ((row[j] as number) - (MU[j] as number))) / SIGMA ** 2, 0);
    return { mean: mean / precision, sd: 1 / Math.sqrt(precision) };
  });
  const exact = model(function* (_x: NdArray, _mask: NdArray) {
    yield* plate("data", 3, function* () {
      const [loc, scale] = [posterior.map((p) => [p.mean]), posterior.map((p) => [p.sd])];
      yield* sample("z", normalDist(tf.tensor2d(loc), tf.tensor2d(scale)).event(1));
    });
  });

  it("has the gradient of the exact evidence of what is observed", async () => {
    const RUNS = 24;
    const found = { weight: [] as number[][], bias: [] as number[][] };
    for (let seed = 1; seed <= RUNS; seed++) {
      // One step of gradient descent at rate 1 from the truth is the gradient; the loss is minus the bound a row.
      const fit = await infer(net.model, iwae(exact, 1, { draws: 4000, optimizer: sgd(1), steps: 1, boundDraws: 1 }), {
        args: [x, mask],
        params: paramsOf(W, MU),
        seed,
      });
      const moved = (name: string, from: readonly number[]) =>
        from.map((v, j) => ((fit.params[name]?.data[j] as number) - Math.fround(v)) * X.length);
      found.weight.push(moved("decoder/loc/weight", W));
      found.bias.push(moved("decoder/loc/bias", MU));
    }
    const STEP = 1e-4;
    const nudged = (v: readonly number[], j: number, by: number) => v.map((u, k) => (k === j ? u + by : u));
    for (const j of [0, 1, 2]) {
      const truth = {
        weight: (logEvidence(nudged(W, j, STEP), MU) - logEvidence(nudged(W, j, -STEP), MU)) / (2 * STEP),
        bias: (logEvidence(W, nudged(MU, j, STEP)) - logEvidence(W, nudged(MU, j, -STEP))) / (2 * STEP),
      };
      for (const part of ["weight", "bias"] as const) {
        expectMean(
          found[part].map((row) => row[j] as number),
          truth[part],
          { detects: 0.15 },
        );
      }
    }
  });

  it("draws multiple imputations that have mean and spread of the exact conditional", async () => {
    const M = 6000;
    const found = await infer(net.imputer, snis(30_000, { proposal: exact, rows: "each", keep: false, resamples: M }), {
      args: [x, mask],
      params: paramsOf(W, MU),
      seed: 2,
    });
    const { data } = found.resamples.complete;
    const C = plus(
      times(
        W.map((w) => [w]),
        [W],
      ),
      identity(3, SIGMA ** 2),
    );
    const row = 2;
    // Row 2 misses entry 0 and has entries 1 and 2.
    const part = inverse([
      [C[1]?.[1] as number, C[1]?.[2] as number],
      [C[2]?.[1] as number, C[2]?.[2] as number],
    ]);
    const cross = [C[0]?.[1] as number, C[0]?.[2] as number];
    const gain = [0, 1].map((j) => cross.reduce((s, c, k) => s + c * (part[k]?.[j] as number), 0));
    const mean =
      (MU[0] as number) +
      [1, 2].reduce((s, j, k) => s + (gain[k] as number) * ((X[row]?.[j] as number) - (MU[j] as number)), 0);
    const variance = (C[0]?.[0] as number) - cross.reduce((s, c, k) => s + c * (gain[k] as number), 0);
    const draws = Array.from({ length: M }, (_, m) => data[(m * 3 + row) * 3] as number);
    const average = draws.reduce((a, b) => a + b, 0) / M;
    const spread = draws.reduce((a, b) => a + (b - average) ** 2, 0) / (M - 1);
    expectEstimate({ value: average, standardError: Math.sqrt(variance / M) }, mean, { detects: 0.15 });
    expectEstimate({ value: spread, standardError: variance * Math.sqrt(2 / M) }, variance, { detects: 0.2 });
    // What was observed stays as it was.
    for (let m = 0; m < M; m++) expect(data[(m * 3 + row) * 3 + 1]).toBe(Math.fround(0.9));
  });
});

describe("a not-MIWAE", () => {
  it("says which entries were hidden", async () => {
    const n = 300;
    const e = normal(rootKey("mask accuracy"), 4 * n);
    const data = ndarray(
      Float32Array.from(
        { length: 3 * n },
        (_, at) =>
          0.9 * (e[4 * Math.floor(at / 3)] as number) + 0.4 * (e[4 * Math.floor(at / 3) + 1 + (at % 3)] as number),
      ),
      [n, 3],
    );
    const mask = aboveMean(data, { columns: [0] });
    const args: [NdArray, NdArray] = [hide(data, mask), mask];
    const net = notMiwae({ ...linear, batch: 50 });
    const fit = await infer(net.model, iwae(net.guide, 10, { optimizer: adam(2e-2), steps: 600 }), { args, seed: 1 });
    const found = await infer(net.model, snis(300, { proposal: net.guide, rows: "each", keep: false }), {
      args,
      params: fit.params,
      seed: 2,
    });
    const hidden = mask.data.filter((s) => s === 0).length / mask.data.length;
    // Guessing that nothing is hidden is right but for the hidden share.
    expect(maskAccuracy(found.mean("maskProbs").value, mask)).toBeGreaterThan(1 - 0.35 * hidden);
    expect(() => maskAccuracy(mask, rowsOf([[1]]))).toThrow(/differ in shape/);
  });
});

describe("a table of several kinds", () => {
  const kinds = ["real", { classes: 3 }, "binary", "real"] as const;

  it("is made of features, a column of classes as unit vectors", () => {
    const [x, mask] = tableFeatures(
      rowsOf([
        [1.5, 2, 1, Number.NaN],
        [0, Number.NaN, 0, 3],
      ]),
      rowsOf([
        [1, 1, 1, 0],
        [1, 0, 1, 1],
      ]),
      kinds,
    );
    expect([...x.data]).toEqual([1.5, 0, 0, 1, 1, Number.NaN, 0, 0, 0, 0, 0, 3]);
    expect([...mask.data]).toEqual([1, 1, 1, 1, 1, 0, 1, 0, 0, 0, 1, 1]);
    const all = rowsOf([[1, 1, 1, 1]]);
    expect(() => tableFeatures(rowsOf([[0, 3, 0, 0]]), all, kinds)).toThrow(
      /column 1: a class must be a whole number from 0 to 2/,
    );
    expect(() => tableFeatures(rowsOf([[0, 1]]), rowsOf([[1, 1]]), kinds)).toThrow(/\[n, 4\]/);
    expect(() => miwae({ features: 4, latent: 1, hidden: [2], likelihood: mixedTable(kinds) })).toThrow(/6 features/);
  });

  it("has the log-probability of normal, categorical and Bernoulli entries", async () => {
    const net = miwae({ features: 6, latent: 1, hidden: [2], decoderHidden: [], likelihood: mixedTable(kinds) });
    const raw = [0.3, 0.5, -1, 0.2, 0.7, -0.4];
    const params = {
      "decoder/table/weight": ndarray(new Float32Array(6), [1, 6]),
      "decoder/table/bias": ndarray(Float32Array.from(raw)),
    };
    const [x, mask] = tableFeatures(
      rowsOf([
        [1.5, 2, 1, Number.NaN],
        [0, Number.NaN, 0, 0],
      ]),
      rowsOf([
        [1, 1, 1, 0],
        [0, 0, 1, 0],
      ]),
      kinds,
    );
    const found = await infer(net.model, snis(10, { rows: "each" }), { args: [x, mask], params, seed: 1 });
    const sd = 1 + 1e-3;
    const real = -0.5 * ((1.5 - 0.3) / sd) ** 2 - Math.log(sd) - 0.5 * Math.log(2 * Math.PI);
    const classes = 0.2 - Math.log(Math.exp(0.5) + Math.exp(-1) + Math.exp(0.2));
    const yes = (l: number) => -Math.log1p(Math.exp(-l));
    expect(found.rowEvidence.value[0]).toBeCloseTo(real + classes + yes(0.7), 4);
    expect(found.rowEvidence.value[1]).toBeCloseTo(yes(-0.7), 4);
    // A missing class is imputed by its probabilities.
    const imputed = found.mean("imputed").value.data;
    expect(imputed[6 + 1]! + imputed[6 + 2]! + imputed[6 + 3]!).toBeCloseTo(1, 5);
  });

  it("learns a class from a number, and draws it", async () => {
    const n = 400;
    const u = uniform(rootKey("mixed"), 2 * n);
    // The class is the sign of the number, nine times of ten.
    const rows = Array.from({ length: n }, (_, i) => {
      const positive = (u[2 * i] as number) > 0.5;
      const flips = (u[2 * i + 1] as number) > 0.9;
      return [positive ? 1 : -1, positive !== flips ? 1 : 0];
    });
    const seen = rows.map((_, i) => [1, i < 100 ? 0 : 1]);
    const two = ["real", { classes: 2 }] as const;
    const args = tableFeatures(rowsOf(rows), rowsOf(seen), two);
    const net = miwae({ features: 3, latent: 2, hidden: [16], likelihood: mixedTable(two), batch: 100 });
    const fit = await infer(net.model, iwae(net.guide, 5, { optimizer: adam(1e-2), steps: 500 }), { args, seed: 1 });
    const found = await infer(
      net.imputer,
      snis(400, { proposal: net.guide, rows: "each", keep: false, resamples: 4 }),
      {
        args,
        params: fit.params,
        seed: 2,
      },
    );
    const { data } = found.mean("imputed").value;
    for (let i = 0; i < 20; i++) {
      const likely = (rows[i]?.[0] as number) > 0 ? 2 : 1;
      expect(data[3 * i + likely]).toBeGreaterThan(0.7);
    }
    for (let m = 0; m < 4 * n; m++) {
      const [a, b] = [found.resamples.complete.data[3 * m + 1], found.resamples.complete.data[3 * m + 2]];
      expect((a as number) + (b as number)).toBe(1);
    }
  });
});

describe("a tilt of a derived quantity", () => {
  it("is the tilt of the quantity it derives from", async () => {
    // N(0, 1) tilted by E = x²/2, seen through y = 2x: Z = 1/√2, variance 1/2.
    const doubled = model(function* () {
      yield* deterministic("y", tf.mul(2, yield* sample("x", normalDist(0, 1))));
    });
    const tilted = pipe(
      doubled,
      tilt("y", (y) => tf.div(tf.square(y), 8)),
    );
    const found = await infer(tilted, snis(100_000), { seed: 1 });
    expectEstimate(found.logEvidence, -Math.log(2) / 2, { detects: 0.02 });
    // @ts-expect-error: there is no such site.
    expect(() => trace(tilt("w", () => tf.scalar(0))(doubled), { seed: 1 })).toThrow(/no site "w"/);
  });
});

describe("a MIWAE of data that hide by their own value, tilted towards a few complete rows", () => {
  it("imputes with less bias", async () => {
    const [n, few] = [600, 150];
    const e = normal(rootKey("combination"), 3 * (n + few));
    const all = Array.from({ length: n + few }, (_, i) => {
      const shared = 0.8 * (e[3 * i] as number);
      return [shared + 0.6 * (e[3 * i + 1] as number), shared + 0.6 * (e[3 * i + 2] as number)];
    });
    const data = rowsOf(all.slice(0, n));
    const mask = aboveMean(data, { columns: [0] });
    const args: [NdArray, NdArray] = [hide(data, mask), mask];
    const net = miwae({ features: 2, latent: 1, hidden: [16], decoderHidden: [], batch: 100 });
    const base = await infer(net.model, iwae(net.guide, 10, { optimizer: adam(1e-2), steps: 1000 }), { args, seed: 1 });
    const fit = await infer(
      net.generator,
      fitTilt("x", energy(2, { hidden: [16] }), rowsOf(all.slice(n)), { optimizer: adam(5e-3), steps: 600 }),
      { params: base.params, seed: 2 },
    );
    const errors = async (imputer: typeof net.imputer, params: typeof base.params) => {
      const found = await infer(imputer, snis(1000, { proposal: net.guide, rows: "each", keep: false }), {
        args,
        params,
        seed: 3,
      });
      const { data: filled } = found.mean("complete").value;
      let [bias, square, count] = [0, 0, 0];
      mask.data.forEach((s: number, at: number) => {
        if (s === 1) return;
        const error = (filled[at] as number) - (data.data[at] as number);
        bias += error;
        square += error ** 2;
        count++;
      });
      return { bias: bias / count, rmse: Math.sqrt(square / count) };
    };
    const before = await errors(net.imputer, base.params);
    const after = await errors(
      pipe(net.imputer, tilt("complete", fit.energy)) as typeof net.imputer,
      fit.params as typeof base.params,
    );
    expect(before.bias).toBeLessThan(-0.5);
    expect(Math.abs(after.bias)).toBeLessThan(0.6 * Math.abs(before.bias));
    expect(after.rmse).toBeLessThan(0.8 * before.rmse);
  });
});
