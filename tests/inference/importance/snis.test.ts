/** SNIS: its exact small-sample behaviour, its invariants, and what it says when things go wrong. */
import * as tf from "@tensorflow/tfjs-core";
import { pipe } from "fp-ts/lib/function.js";
import { beforeAll, describe, expect, it } from "vitest";
import { ndarray } from "../../../src/core/array.ts";
import { TRIANGLE } from "../../../src/data/index.ts";
import { categorical, mixtureSameFamily, normal } from "../../../src/dist/index.ts";
import { deterministic, model, observe, sample } from "../../../src/effects/effects.ts";
import { scope, tilt } from "../../../src/effects/handlers.ts";
import { plate } from "../../../src/effects/plate.ts";
import { useEngine } from "../../../src/engine/engine.ts";
import { snis } from "../../../src/inference/importance/snis.ts";
import { infer, type Progress } from "../../../src/inference/method/infer.ts";
import { expectDiffers, expectEstimate, expectMean, meanOf } from "../../support/statistics.ts";

beforeAll(() => useEngine("wasm"));

const vector = (...values: readonly number[]) => ndarray(Float32Array.from(values));
const standard = model(function* () {
  return yield* sample("x", normal(0, 1));
});
const quadratic = (x: tf.Tensor) => tf.sub(tf.div(tf.square(x), 2), tf.mul(0.5, x));

describe("the error of SNIS", () => {
  it("E log Ẑ falls short of log Z by (1/ρ − 1)/(2n), ρ = ESS/n", async () => {
    // N(0, 1) → N(b, 1): log w = bx, log Z = b²/2, v = 1/ρ − 1 = e^{b²} − 1.
    const [b, n, runs] = [0.7, 20, 100_000];
    const energy = (x: tf.Tensor) => tf.mul(-b, x);
    const r = await infer(pipe(standard, tilt("x", energy)), snis(n * runs), { seed: 1 });
    const logs = r.logWeights.data;
    const estimates = Float64Array.from({ length: runs }, (_, i) => {
      let sum = 0;
      for (let j = i * n; j < (i + 1) * n; j++) sum += Math.exp(logs[j] as number);
      return Math.log(sum / n);
    });
    const v = Math.expm1(b * b);
    // Next order, from E log(1 + δ) = −E δ²/2 + E δ³/3 − E δ⁴/4: third central moment of the lognormal weight, 3v² for the fourth.
    const next = (v * v * (v + 3)) / (3 * n * n) - (3 * v * v) / (4 * n * n);
    expectMean(estimates, (b * b) / 2 - v / (2 * n) + next, { what: "E log Ẑ", detects: 0.006 });
    expectDiffers(meanOf(estimates), (b * b) / 2);
  });

  it("its standard errors are the spread over seeds", async () => {
    const scores: number[] = [];
    const evidence: number[] = [];
    const logZ = -0.5 * Math.log(2) + 0.25 / 4;
    for (let seed = 0; seed < 150; seed++) {
      const r = await infer(pipe(standard, tilt("x", quadratic)), snis(1000), { seed });
      const { value, standardError } = r.expectation("x");
      scores.push(((value - 0.25) / standardError) ** 2);
      evidence.push(((r.logEvidence.value - logZ) / r.logEvidence.standardError) ** 2);
    }
    expectMean(scores, 1, { what: "calibration of the mean", detects: 1.5 });
    expectMean(evidence, 1, { what: "calibration of log Ẑ", detects: 1.5 });
  });
});

describe("a mixture debiased by its exact energy", () => {
  const means = ndarray(Float32Array.from(TRIANGLE.means.flat()), [3, 2]);
  const mixtureOf = (weights: readonly number[]) =>
    mixtureSameFamily(categorical({ probs: vector(...weights) }), normal(means, TRIANGLE.scale).event(1));
  const biased = model(function* () {
    return yield* sample("x", mixtureOf(TRIANGLE.biased));
  });
  const energy = (x: tf.Tensor) => tf.sub(mixtureOf(TRIANGLE.biased).logProb(x), mixtureOf(TRIANGLE.truth).logProb(x));

  it("ESS/n is .383, log Z is 0, and the clusters get their true shares", async () => {
    const r = await infer(pipe(biased, tilt("x", energy)), snis(50_000), { seed: 2 });
    // Clusters far apart: 1/Σ q_k²/p_k.
    const worth = 1 / TRIANGLE.truth.reduce((s, q, k) => s + q ** 2 / (TRIANGLE.biased[k] as number), 0);
    expect(worth).toBeCloseTo(0.383, 3);
    expect(Math.abs(r.essRatio - worth)).toBeLessThan(0.03);
    expectEstimate(r.logEvidence, 0, { what: "log Z", detects: 0.06 });
    expect(r.trusted).toBe(true);
    const shareOf = (k: number) =>
      r.expectation(({ x }) => {
        const distances = tf.sum(tf.square(tf.sub(tf.expandDims(x, 1), means.tensor())), -1);
        return tf.cast(tf.equal(tf.argMin(distances, 1), k), "float32");
      });
    TRIANGLE.truth.forEach((q, k) => {
      expectEstimate(shareOf(k), q, { what: `share of cluster ${k}`, detects: 0.05 });
      expectDiffers(shareOf(k), TRIANGLE.biased[k] as number);
    });
    // Resampled draws have the same shares but for their own noise.
    const { data } = r.resample(20_000, { scheme: "stratified" }).x;
    const first = Float64Array.from({ length: 20_000 }, (_, i) => ((data[2 * i] as number) < -0.5 ? 1 : 0));
    expect(Math.abs(meanOf(first).value - 0.3)).toBeLessThan(0.03);
  });
});

describe("invariants", () => {
  it("tilting by E and then by −E returns the base, exactly", async () => {
    const back = pipe(
      standard,
      tilt("x", quadratic),
      tilt("x", (x) => tf.neg(quadratic(x))),
    );
    const r = await infer(back, snis(300), { seed: 3 });
    const base = await infer(standard, snis(300), { seed: 3 });
    expect(r.essRatio).toBeCloseTo(1, 6);
    expect(r.logEvidence.value).toBeCloseTo(0, 6);
    expect(r.sites.x.data).toEqual(base.sites.x.data);
  });

  it("two tilts are one by the sum of their energies", async () => {
    const half = (x: tf.Tensor) => tf.div(quadratic(x), 2);
    const twice = await infer(pipe(standard, tilt("x", half), tilt("x", half)), snis(300), { seed: 3 });
    const once = await infer(pipe(standard, tilt("x", quadratic)), snis(300), { seed: 3 });
    expect(twice.logEvidence.value).toBeCloseTo(once.logEvidence.value, 5);
    expect(twice.ess).toBeCloseTo(once.ess, 3);
    // Also where a prefix has renamed them.
    const inside = pipe(standard, tilt("x", half), tilt("x", half), scope("part"));
    expect((await infer(inside, snis(300), { seed: 3 })).logEvidence.of).toBe("log Z");
  });

  it("a run is a function of its seed", async () => {
    const tilted = pipe(standard, tilt("x", quadratic));
    const [a, b, c] = [
      await infer(tilted, snis(100), { seed: "s" }),
      await infer(tilted, snis(100), { seed: "s" }),
      await infer(tilted, snis(100), { seed: "t" }),
    ];
    expect(b.logWeights.data).toEqual(a.logWeights.data);
    expect(b.resample(50).x.data).toEqual(a.resample(50).x.data);
    expect(c.logWeights.data).not.toEqual(a.logWeights.data);
    expect(a.resample(50, { seed: 1 }).x.data).not.toEqual(a.resample(50, { seed: 2 }).x.data);
  });

  it("resampling takes whole draws: sites of one draw stay together", async () => {
    const m = model(function* () {
      const x = yield* sample("x", normal(0, 1));
      const y = yield* sample("y", normal(x, 1));
      yield* deterministic("sum", tf.add(x, y));
      yield* observe("data", normal(y, 1), 1);
    });
    const r = await infer(m, snis(2000), { seed: 4 });
    for (const scheme of ["multinomial", "systematic", "stratified", "residual"] as const) {
      const { x, y, sum } = r.resample(500, { scheme });
      expect(sum.shape).toEqual([500]);
      sum.data.forEach((s, i) => {
        expect(s).toBeCloseTo((x.data[i] as number) + (y.data[i] as number), 5);
      });
    }
  });
});

describe("proposals", () => {
  const m = model(function* () {
    const a = yield* sample("a", normal(0, 1));
    yield* plate("rows", 2, function* () {
      const z = yield* sample("z", normal(a, 1));
      yield* observe("y", normal(z, 1), vector(0.5, 2));
    });
  });
  // a | y: precision 1 + 2/2, mean (0.5 + 2)/2/2. y ~ N(0, 2I + 1): det 8, inverse by hand.
  const quad = (3 * 0.5 ** 2 - 2 * 0.5 * 2 + 3 * 2 ** 2) / 8;
  const evidence = -0.5 * (2 * Math.log(2 * Math.PI) + Math.log(8) + quad);

  it("may draw some of the sites: the others come from the prior", async () => {
    const partial = model(function* () {
      yield* sample("a", normal(0.6, 0.8));
    });
    for (const method of [snis(50_000), snis(50_000, { proposal: partial })]) {
      const r = await infer(m, method, { seed: 5 });
      expectEstimate(r.logEvidence, evidence, { what: "log p(y)", detects: 0.08 });
      expectEstimate(r.expectation("a"), 0.625, { what: "E[a | y]", detects: 0.08 });
      const z = r.mean("z");
      // z_i | y: E[z_i | a] = (a + y_i)/2.
      [0.5, 2].forEach((y, i) => {
        const at = { value: z.value.data[i] as number, standardError: z.standardError.data[i] as number };
        expectEstimate(at, (0.625 + y) / 2, { what: `E[z${i} | y]`, detects: 0.1 });
      });
    }
  });

  it("that have plates fit, and make all weights equal where they are the posterior", async () => {
    const exact = model(function* () {
      const a = yield* sample("a", normal(0.625, Math.SQRT1_2));
      yield* plate("rows", 2, function* () {
        yield* sample("z", normal(tf.div(tf.add(a, tf.tensor1d([0.5, 2])), 2), Math.SQRT1_2));
      });
    });
    // Particles come first: `a` of shape [particles, 1] meets the two rows.
    const r = await infer(m, snis(500, { proposal: exact }), { seed: 6 });
    expect(r.essRatio).toBeGreaterThan(1 - 1e-5);
    expect(r.logEvidence.value).toBeCloseTo(evidence, 4);
    expect(r.sites.z.shape).toEqual([500, 2]);
  });

  it("a tilt of a model with data has an evidence up to log Z, and says so", async () => {
    const tilted = pipe(
      m,
      tilt("a", (a) => tf.mul(-0.4, a)),
    );
    const r = await infer(tilted, snis(50_000), { seed: 7 });
    // a | y is N(.625, ½): E e^{.4a} = e^{.4·.625 + .16/4}.
    expectEstimate(r.logEvidence, evidence + 0.4 * 0.625 + 0.04, { what: "log p(y) + log Z", detects: 0.09 });
    expect(r.logEvidence.of).toBe("log p(data) + log Z");
  });
});

describe("when things go wrong", () => {
  it("energies that are no numbers name their site, and leave no tensor", async () => {
    const before = tf.memory().numTensors;
    for (const value of [Number.NaN, Number.NEGATIVE_INFINITY]) {
      const broken = pipe(
        standard,
        tilt("x", (x) => tf.fill(x.shape, value)),
      );
      await expect(infer(broken, snis(10), { seed: 1 })).rejects.toMatchObject({
        code: "non-finite",
        site: "tilt(x)",
      });
    }
    expect(tf.memory().numTensors).toBe(before);
  });

  it("draws of weight zero are counted, not refused: half of a normal has evidence ½", async () => {
    const positive = pipe(
      standard,
      tilt("x", (x) => tf.where(tf.greater(x, 0), tf.zerosLike(x), tf.fill(x.shape, Number.POSITIVE_INFINITY))),
    );
    const r = await infer(positive, snis(40_000), { seed: 8 });
    expectEstimate(r.logEvidence, Math.log(0.5), { what: "log ½", detects: 0.06 });
    expectEstimate(r.expectation("x"), Math.sqrt(2 / Math.PI), { what: "half-normal mean", detects: 0.04 });
    expect(Math.min(...r.resample(1000).x.data)).toBeGreaterThan(0);
  });

  it("can be aborted between chunks, with the reason, leaving no tensor", async () => {
    const before = tf.memory().numTensors;
    const controller = new AbortController();
    const seen: Progress[] = [];
    const running = infer(standard, snis(1000, { chunk: 100 }), {
      seed: 1,
      signal: controller.signal,
      onProgress: (p) => {
        seen.push(p);
        if (p.step === 300) controller.abort(new Error("enough"));
      },
    });
    await expect(running).rejects.toMatchObject({ code: "aborted", cause: { message: "enough" } });
    expect(seen.map(({ method, step, total }) => [method, step, total])).toEqual([
      ["snis", 100, 1000],
      ["snis", 200, 1000],
      ["snis", 300, 1000],
    ]);
    expect(tf.memory().numTensors).toBe(before);
  });

  it("heavy weights are reported for what they are", async () => {
    // w = e^{3x}: one draw of 200 holds most of the weight.
    const heavy = pipe(
      standard,
      tilt("x", (x) => tf.mul(-3, x)),
    );
    const r = await infer(heavy, snis(200), { seed: 9 });
    expect(r.trusted).toBe(false);
    expect(r.warnings.join("\n")).toMatch(/effective sample size is only/);
    expect(r.warnings.join("\n")).toMatch(/one draw holds \d+ % of all weight/);
    expect(r.largestWeight).toBeGreaterThan(0.1);
  });

  it("asks for what it needs", async () => {
    for (const n of [0, -1, 1.5, Number.NaN, Number.POSITIVE_INFINITY])
      expect(() => snis(n)).toThrow(/n must be a whole number of at least 1/);
    expect(() => snis(10, { chunk: 0 })).toThrow(/chunk must be a whole number of at least 1, got 0/);
    const r = await infer(standard, snis(10), { seed: 1 });
    expect(() => r.mean("y" as never)).toThrow(/there is no site "y"; there are "x"/);
    expect(() => r.expectation(() => tf.scalar(1))).toThrow(/1 numbers for 10 draws/);
    expect(() => r.resample(-1)).toThrow(/the number of draws must be a whole number of at least 0, got -1/);
  });
});
