/** SNIS with weights for every row: against probabilistic PCA, whose rows have their posterior and evidence in closed form. */
import * as tf from "@tensorflow/tfjs-core";
import { pipe } from "fp-ts/lib/function.js";
import { beforeAll, describe, expect, expectTypeOf, it } from "vitest";
import { type NdArray, ndarray } from "../../../src/core/array.ts";
import { normal } from "../../../src/dist/index.ts";
import { deterministic, factor, model, observe, param, sample } from "../../../src/effects/effects.ts";
import { tilt } from "../../../src/effects/handlers.ts";
import { plate } from "../../../src/effects/plate.ts";
import { useEngine } from "../../../src/engine/engine.ts";
import { snis } from "../../../src/inference/importance/snis.ts";
import { infer } from "../../../src/inference/method/infer.ts";
import * as m from "../../support/matrix.ts";
import { expectEstimate } from "../../support/statistics.ts";
import { matrix, vector } from "../known.ts";

beforeAll(() => useEngine("wasm"));

const W = [
  [1, 0.3],
  [-0.4, 0.8],
  [0.2, 0.5],
];
const [mu, sigma] = [[0.2, -0.4, 1], 0.7];
const data = [
  [1.1, -0.9, 0.6],
  [-0.5, 0.7, 1.4],
  [0.3, 0.2, -0.4],
  [2, -1.5, 0.9],
  [-1, 0.1, 2],
];
const seen = [
  [1, 1, 1],
  [1, 0, 1],
  [0, 1, 0],
  [1, 1, 0],
  [0, 0, 1],
];

/** Posterior N(mean, S) of z, mean of x = Wz + μ, and evidence of the observed entries, of one row. */
const exact = data.map((x, r) => {
  const kept = x.map((_, j) => j).filter((j) => seen[r]?.[j] === 1);
  const pick = <T>(v: readonly T[]) => kept.map((j) => v[j] as T);
  const [Wo, shift] = [pick(W), m.subtract(pick(x), pick(mu))];
  const Wt = m.transpose(Wo);
  const S = m.inverse(m.plus(m.identity(2), m.scaled(sigma ** -2, m.times(Wt, Wo))));
  const mean = m.apply(
    S,
    m.apply(Wt, shift).map((v) => v / sigma ** 2),
  );
  const marginal = m.plus(m.times(Wo, Wt), m.identity(kept.length, sigma ** 2));
  const zeros = kept.map(() => 0);
  return { S, mean, x: m.add(m.apply(W, mean), mu), logEvidence: m.normalLogDensity(shift, zeros, marginal) };
});

/** Exact equality of long arrays, without a report of every entry. */
const same = (a: NdArray, b: NdArray) => a.data.length === b.data.length && a.data.every((v, i) => v === b.data[i]);

/** Rows `which` of the data; the plate sees `batch` of them at a time. */
const ppca = (which: readonly number[] = data.map((_, r) => r), batch = which.length) => {
  const values = matrix(which.map((r) => (data[r] ?? []).map((v, j) => (seen[r]?.[j] === 1 ? v : Number.NaN))));
  const mask = matrix(which.map((r) => seen[r] ?? []));
  return model(function* () {
    yield* plate("rows", which.length, { subsample: batch }, function* ({ gather }) {
      const z = yield* sample("z", normal(tf.zeros([2]), 1).event(1));
      const flat = tf.matMul(tf.reshape(z, [-1, 2]) as tf.Tensor2D, matrix(m.transpose(W)).tensor() as tf.Tensor2D);
      const mean = tf.add(tf.reshape(flat, [...z.shape.slice(0, -1), 3]), vector(mu).tensor());
      yield* observe("x", normal(mean, sigma).event(1), gather(values), { mask: gather(mask) });
      yield* deterministic("xm", mean);
    });
  });
};

/** A guide about the posterior means, too wide. */
const about = (scale = 0.9, batch = data.length) =>
  model(function* () {
    yield* plate("rows", data.length, { subsample: batch }, function* ({ gather }) {
      yield* sample("z", normal(gather(matrix(exact.map((row) => row.mean))), scale).event(1));
    });
  });

const at = (
  { value, standardError }: { readonly value: ArrayLike<number>; readonly standardError: ArrayLike<number> },
  i: number,
) => ({ value: value[i] as number, standardError: standardError[i] as number });
const entry = (x: { readonly value: NdArray; readonly standardError: NdArray }, i: number) =>
  at({ value: x.value.data, standardError: x.standardError.data }, i);

describe('rows: "each" on PPCA with missing features', () => {
  for (const [from, proposal, batch] of [
    ["the prior", undefined, 5],
    ["a guide", about(), 5],
    ["a guide, in blocks of two rows", about(0.9, 2), 2],
  ] as const) {
    it(`finds posterior, imputations and evidence of every row from ${from}`, async () => {
      const options = { rows: "each", ...(proposal && { proposal }) } as const;
      const r = await infer(ppca(undefined, batch), snis(20_000, options), { seed: 1 });
      expect([r.rows, r.n, r.logWeights.shape, r.sites.z.shape]).toEqual([5, 20_000, [20_000, 5], [20_000, 5, 2]]);
      expect([r.trusted, r.warnings]).toEqual([true, []]);
      const [z, xm, variance] = [r.mean("z"), r.mean("xm"), r.variance("z")];
      expect([z.value.shape, xm.value.shape]).toEqual([
        [5, 2],
        [5, 3],
      ]);
      const product = r.expectation((s) => tf.prod(s.z, -1));
      exact.forEach(({ S, mean, x, logEvidence }, i) => {
        expectEstimate(at(r.rowEvidence, i), logEvidence, { what: `evidence of row ${i}`, detects: 0.15 });
        mean.forEach((v, j) => {
          expectEstimate(entry(z, 2 * i + j), v, { what: `E[z${i}${j}]`, detects: 0.12 });
          expect(Math.abs((variance.data[2 * i + j] as number) / (S[j]?.[j] as number) - 1)).toBeLessThan(0.15);
        });
        x.forEach((v, j) => {
          expectEstimate(entry(xm, 3 * i + j), v, { what: `E[x${i}${j}]`, detects: 0.15 });
        });
        const second = (S[0]?.[1] as number) + (mean[0] as number) * (mean[1] as number);
        expectEstimate(entry(product, i), second, { what: `E[z${i}0 z${i}1]`, detects: 0.15 });
      });
      const total = exact.reduce((s, row) => s + row.logEvidence, 0);
      expectEstimate(r.logEvidence, total, { what: "evidence of all", detects: 0.3 });
      expect(r.logEvidence.of).toBe("log p(data)");
    });
  }

  it("does not lose its draws to the number of rows, where one weight for all does", async () => {
    const together = await infer(ppca(), snis(20_000), { seed: 1 });
    const each = await infer(ppca(), snis(20_000, { rows: "each" }), { seed: 1 });
    // The same draws; a weight for all rows is the product of the rows' own, so its worth is the product of theirs.
    expect(same(each.sites.z, together.sites.z)).toBe(true);
    const product = each.essRatio.reduce((a, b) => a * b, 1);
    expect(together.essRatio / product).toBeGreaterThan(0.5);
    expect(together.essRatio / product).toBeLessThan(2);
    expect(each.summary.leastEss).toBeGreaterThan(10 * together.ess);
  });

  it("is what each row alone gives", async () => {
    const all = await infer(ppca(), snis(20_000, { rows: "each" }), { seed: 2 });
    for (const row of [1, 3]) {
      const alone = await infer(ppca([row]), snis(20_000, { rows: "each" }), { seed: 3 });
      const shared = await infer(ppca([row]), snis(20_000), { seed: 3 });
      // With one row there is nothing to keep apart.
      expect(alone.logWeights.data.every((l, i) => l === shared.logWeights.data[i])).toBe(true);
      expect(alone.ess[0]).toBeCloseTo(shared.ess, 6);
      expect(alone.khat[0]).toBeCloseTo(shared.khat, 6);
      const [ours, theirs] = [all.mean("z"), shared.mean("z")];
      expect(alone.mean("z").value.data[0]).toBeCloseTo(theirs.value.data[0] as number, 5);
      expect(alone.mean("z").standardError.data[0]).toBeCloseTo(theirs.standardError.data[0] as number, 6);
      const [a, b] = [entry(ours, 2 * row), entry(theirs, 0)];
      const standardError = Math.hypot(a.standardError, b.standardError);
      expectEstimate({ value: a.value - b.value, standardError }, 0, { what: `row ${row} alone`, detects: 0.12 });
    }
  });
});

describe("without keeping the draws", () => {
  it("gives the same numbers, however the run is cut into chunks", async () => {
    const kept = await infer(ppca(), snis(3000, { rows: "each", proposal: about() }), { seed: 4 });
    for (const chunk of [3000, 700, 13]) {
      const none = await infer(ppca(), snis(3000, { rows: "each", proposal: about(), keep: false, chunk }), {
        seed: 4,
      });
      expect(Object.keys(none.sites)).toEqual([]);
      expect(same(none.logWeights, kept.logWeights)).toBe(true);
      for (const site of ["z", "xm"] as const) {
        none.mean(site).value.data.forEach((v, i) => {
          expect(v).toBeCloseTo(kept.mean(site).value.data[i] as number, 5);
          expect(none.mean(site).standardError.data[i]).toBeCloseTo(kept.mean(site).standardError.data[i] as number, 6);
          expect(none.variance(site).data[i]).toBeCloseTo(kept.variance(site).data[i] as number, 5);
        });
      }
    }
    const one = await infer(ppca(), snis(300, { rows: "each", keep: ["xm"] }), { seed: 4 });
    expect(Object.keys(one.sites)).toEqual(["xm"]);
    expect(one.mean("z").value.shape).toEqual([5, 2]);
    expect(Object.keys(one.resample(4))).toEqual(["xm"]);
  });

  it("takes unweighted draws during the run: each row's are of its posterior, and sites of a draw stay together", async () => {
    const slots = 4000;
    const options = { rows: "each", keep: false, resamples: slots, chunk: 500 } as const;
    const r = await infer(ppca(), snis(20_000, options), { seed: 5 });
    const { z, xm } = r.resamples;
    expect([z.shape, xm.shape]).toEqual([
      [slots, 5, 2],
      [slots, 5, 3],
    ]);
    exact.forEach(({ S, mean }, row) => {
      mean.forEach((truth, j) => {
        let sum = 0;
        for (let i = 0; i < slots; i++) sum += z.data[(i * 5 + row) * 2 + j] as number;
        // Drawn from the weighted draws: their error and that of the choice add up.
        const choice = (S[j]?.[j] as number) / slots;
        const { standardError } = entry(r.mean("z"), 2 * row + j);
        const estimate = { value: sum / slots, standardError: Math.sqrt(choice + standardError ** 2) };
        expectEstimate(estimate, truth, { what: `unweighted draws of z${row}${j}`, detects: 0.17 });
      });
    });
    for (let i = 0; i < slots * 5; i += 97) {
      const at = [z.data[2 * i], z.data[2 * i + 1]] as [number, number];
      m.add(m.apply(W, at), mu).forEach((v, j) => {
        expect(xm.data[3 * i + j]).toBeCloseTo(v, 4);
      });
    }
  });

  it("resamples kept draws by every scheme", async () => {
    const r = await infer(ppca(), snis(20_000, { rows: "each" }), { seed: 6 });
    for (const scheme of ["multinomial", "systematic", "stratified", "residual"] as const) {
      const { z, xm } = r.resample(2000, { scheme });
      expect(z.shape).toEqual([2000, 5, 2]);
      for (let row = 0; row < 5; row++) {
        let sum = 0;
        for (let i = 0; i < 2000; i++) {
          sum += z.data[(i * 5 + row) * 2] as number;
          const at = [0, 1].map((j) => z.data[(i * 5 + row) * 2 + j] as number);
          expect(xm.data[(i * 5 + row) * 3]).toBeCloseTo((m.apply(W, at)[0] as number) + 0.2, 4);
        }
        const { S, mean } = exact[row] as (typeof exact)[number];
        const { standardError } = entry(r.mean("z"), 2 * row);
        const estimate = {
          value: sum / 2000,
          standardError: Math.sqrt((S[0]?.[0] as number) / 2000 + standardError ** 2),
        };
        expectEstimate(estimate, mean[0] as number, { what: `${scheme}, row ${row}`, detects: 0.25 });
      }
    }
    expect(r.resample(10).z.data).toEqual(r.resample(10).z.data);
    expect(r.resample(10, { seed: 1 }).z.data).not.toEqual(r.resample(10, { seed: 2 }).z.data);
  });
});

describe("rows", () => {
  it("of a subsampled plate all have their turn, and no two share noise", async () => {
    const r = await infer(ppca(undefined, 2), snis(50, { rows: "each" }), { seed: 7 });
    const firsts = Array.from({ length: 5 }, (_, row) => r.sites.z.data[2 * row]);
    expect(new Set(firsts).size).toBe(5);
    for (let row = 0; row < 5; row++) {
      // The weight of a draw of the prior is the likelihood of that row, not scaled by the plate.
      const z = [0, 1].map((j) => r.sites.z.data[2 * row + j] as number);
      const mean = m.add(m.apply(W, z), mu);
      const logLikelihood = (data[row] ?? []).reduce(
        (s, x, j) => (seen[row]?.[j] === 1 ? s + m.normalLogDensity([x], [mean[j] as number], [[sigma ** 2]]) : s),
        0,
      );
      expect(r.logWeights.data[row]).toBeCloseTo(logLikelihood, 3);
    }
  });

  it("that the program picks itself are taken as they are; the evidence stands for all", async () => {
    const picked = model(function* () {
      yield* plate("rows", 4, { indices: Int32Array.of(1, 3) }, function* ({ gather }) {
        const z = yield* sample("z", normal(0, 1));
        yield* observe("x", normal(z, 1), gather(vector([0, 0.5, 0, 2])));
      });
    });
    const r = await infer(picked, snis(20_000, { rows: "each" }), { seed: 8 });
    expect(r.rows).toBe(2);
    const truths = [0.5, 2].map((x) => m.normalLogDensity([x], [0], [[2]]));
    truths.forEach((truth, i) => {
      expectEstimate(at(r.rowEvidence, i), truth, { what: `evidence of pick ${i}`, detects: 0.1 });
    });
    expectEstimate(r.logEvidence, 2 * ((truths[0] as number) + (truths[1] as number)), {
      what: "evidence",
      detects: 0.3,
    });
  });

  it("may hold plates of their own, whose axes lie to the left", async () => {
    const nested = model(function* () {
      yield* plate("rows", 3, function* () {
        const a = yield* sample("a", normal(0, 1));
        yield* plate("inner", 2, function* () {
          const b = yield* sample("b", normal(a, 1));
          yield* deterministic("twice", tf.mul(b, 2));
          yield* observe("y", normal(b, 1), ndarray(Float32Array.of(0, 1, 2, 1, 1, 1), [2, 3]));
        });
      });
    });
    const r = await infer(nested, snis(20_000, { rows: "each", resamples: 3 }), { seed: 9 });
    expect([r.sites.a.shape, r.sites.b.shape, r.resamples.twice.shape]).toEqual([
      [20_000, 3],
      [20_000, 2, 3],
      [3, 2, 3],
    ]);
    // a | y₁, y₂ ~ precision 1 + 2/2, mean ȳ/2; b_i | a, y = (a + y_i)/2.
    const [a, twice] = [r.mean("a"), r.mean("twice")];
    [0.25, 0.5, 0.75].forEach((y, row) => {
      expectEstimate(entry(a, row), y, { what: `E[a${row}]`, detects: 0.1 });
    });
    [0, 1, 2, 1, 1, 1].forEach((y, i) => {
      const mean = [0.25, 0.5, 0.75][i % 3] as number;
      expectEstimate(entry(twice, i), mean + y, { what: `E[2b${i}]`, detects: 0.2 });
    });
  });

  it("may be tilted, and then the evidence is up to log Z", async () => {
    const tilted = pipe(
      ppca(),
      tilt("z", (z) => tf.mul(0.5, tf.sum(tf.square(z), -1))),
    );
    const r = await infer(tilted, snis(100, { rows: "each" }), { seed: 10 });
    expect(r.logEvidence.of).toBe("log p(data) + log Z");
  });

  it("use the parameters given, and the same initial ones in every block", async () => {
    const learnt = model(function* () {
      const w = yield* param("w", (key) => key.lo / 2 ** 32);
      yield* plate("rows", 4, { subsample: 2 }, function* () {
        const z = yield* sample("z", normal(0, 1));
        yield* deterministic("w here", tf.add(w, tf.mul(z, 0)));
        yield* observe("x", normal(z, 1), 0);
      });
    });
    const r = await infer(learnt, snis(5, { rows: "each" }), { seed: 11 });
    const [w] = r.params.w?.data ?? [];
    expect([...r.sites["w here"].data].every((v) => v === w)).toBe(true);
    const given = await infer(learnt, snis(5, { rows: "each" }), { seed: 11, params: { w: vector([3]) } });
    expect(given.sites["w here"].data[0]).toBe(3);
  });
});

describe("faults and warnings", () => {
  const y = vector([1, 2]);
  const inPlate = function* () {
    const z = yield* sample("z", normal(0, 1));
    yield* observe("y", normal(z, 1), y);
  };

  it("a model without a plate, or with a site outside it, is refused by name", async () => {
    const none = model(function* () {
      yield* sample("z", normal(0, 1));
    });
    await expect(infer(none, snis(10, { rows: "each" }), { seed: 1 })).rejects.toMatchObject({ code: "argument" });
    const latent = model(function* () {
      const a = yield* sample("a", normal(0, 1));
      yield* plate("rows", 2, function* () {
        yield* observe("y", normal(a, 1), y);
      });
    });
    await expect(infer(latent, snis(10, { rows: "each" }), { seed: 1 })).rejects.toMatchObject({
      code: "plate",
      site: "a",
      message: expect.stringMatching(/sample site "a" lies outside plate "rows" \(2\): the rows are not independent/),
    });
    const outside = [
      ["factor", () => factor("f", 1)],
      ["observe", () => observe("f", normal(0, 1), 1)],
      ["deterministic", () => deterministic("f", 1)],
    ] as const;
    for (const [kind, site] of outside) {
      const program = model(function* () {
        yield* plate("rows", 2, inPlate);
        yield* site();
      });
      await expect(infer(program, snis(10, { rows: "each" }), { seed: 1 })).rejects.toMatchObject({
        code: "plate",
        site: "f",
        message: expect.stringContaining(kind),
      });
    }
    const rows = model(function* () {
      yield* plate("rows", 2, inPlate);
    });
    const guide = model(function* () {
      yield* sample("z", normal(tf.zeros([2]), 1).event(1));
    });
    await expect(infer(rows, snis(10, { rows: "each", proposal: guide }), { seed: 1 })).rejects.toMatchObject({
      code: "plate",
      site: "z",
      message: expect.stringContaining("of the proposal"),
    });
  });

  it("options are checked", async () => {
    const run = (method: Parameters<typeof infer>[1]) => infer(ppca(), method as never, { seed: 1 });
    expect(() => snis(10, { rows: "some" as "each" })).toThrow(/rows must be "each" or "together", got "some"/);
    expect(() => snis(10, { rows: "each", resamples: -1 })).toThrow(/resamples must be a whole number/);
    expect(() => snis(10, { keep: false } as object)).toThrow(/options of rows: "each"/);
    await expect(run(snis(10, { rows: "each", keep: ["zz"] }))).rejects.toThrow(/keep names "zz".*"z", "xm"/);
    await expect(run(snis(1e8, { rows: "each" }))).rejects.toThrow(/would take 9\.3 GiB.*keep: false/);
    const none = await infer(ppca(), snis(10, { rows: "each", keep: false }), { seed: 1 });
    expect(() => none.resample(3)).toThrow(/no draws were kept/);
    expect(() => none.weights(5)).toThrow(/row must be a whole number from 0 to 4, got 5/);
    expect(() => none.mean("y" as never)).toThrow(/there is no site "y"; there are "z", "xm"/);
  });

  it("names the rows that cannot be trusted, and those without any draw", async () => {
    const before = tf.memory().numTensors;
    const uneven = model(function* () {
      yield* plate("rows", 4, function* () {
        const z = yield* sample("z", normal(0, 1));
        yield* observe("y", normal(z, tf.tensor1d([1, 1, 0.02, 1])), vector([0, 0.1, 4, 0]));
        const impossible = tf.tensor1d([0, 0, 0, 1]);
        yield* factor(tf.where(tf.greater(impossible, 0), Number.NEGATIVE_INFINITY, tf.zerosLike(z)));
      });
    });
    const r = await infer(uneven, snis(1000, { rows: "each", resamples: 2 }), { seed: 1 });
    expect(r.trusted).toBe(false);
    expect(r.warnings.join("\n")).toMatch(/1 of 4 rows have only weights of zero \(the first is row 3\)/);
    expect(r.warnings.join("\n")).toMatch(/1 of 4 rows have a Pareto k above 0.7 \(worst: row 2/);
    expect(r.warnings.join("\n")).toMatch(/1 of 4 rows have fewer than 50 effective draws \(least: row 2/);
    expect(r.warnings.join("\n")).toMatch(/in 1 of 4 rows one draw holds more than 10 %/);
    expect(r.ess[3]).toBe(0);
    expect(r.rowEvidence.value[3]).toBe(Number.NEGATIVE_INFINITY);
    expect(r.mean("z").value.data[3]).toBeNaN();
    expect(r.mean("z").value.data[0]).not.toBeNaN();
    expect(() => r.resample(5)).toThrow(/every weight of row 3 is zero/);
    expect(tf.memory().numTensors).toBe(before);
  });
});

describe("types", () => {
  it("the option chooses the result, and keep the sites of it", async () => {
    const base = ppca();
    const each = await infer(base, snis(5, { rows: "each" }), { seed: 1 });
    expectTypeOf(each.ess).toEqualTypeOf<Float64Array>();
    expectTypeOf(each.sites).toEqualTypeOf<{ readonly z: NdArray; readonly xm: NdArray }>();
    const one = await infer(base, snis(5, { rows: "each", keep: ["z"] }), { seed: 1 });
    expectTypeOf(one.sites).toEqualTypeOf<{ readonly z: NdArray }>();
    expectTypeOf(one.resamples).toEqualTypeOf<{ readonly z: NdArray; readonly xm: NdArray }>();
    const none = await infer(base, snis(5, { rows: "each", keep: false }), { seed: 1 });
    expectTypeOf(none.sites).toEqualTypeOf<{}>();
    const together = await infer(base, snis(5), { seed: 1 });
    expectTypeOf(together.ess).toEqualTypeOf<number>();
    // @ts-expect-error there is no such site
    expect(() => each.mean("zz")).toThrow();
  });
});
