/**
 * A distribution, a method, a handler and a sampler as someone outside would write them, with public names only: compiled strictly against
 * the built package, run by Node, and what they find against closed forms.
 */
import { cpSync, readdirSync } from "node:fs";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { compileProject, createProject, type Project } from "../support/package.ts";
import { root, runNode } from "../support/run.ts";
import { type Estimate, expectEstimate, expectMean, meanOf } from "../support/statistics.ts";

interface Weighted {
  readonly evidence: number;
  readonly mean: number;
  readonly largest: number;
  readonly ess: number;
  readonly of: string;
}
interface Walked {
  readonly mu: readonly number[];
  readonly lambda: readonly number[];
  readonly acceptance: number;
  readonly rhat: number;
  readonly nonFinite: number;
  readonly compiled: boolean;
}
interface Found {
  readonly counts: {
    readonly values: readonly number[];
    readonly parts: readonly number[];
    readonly logProb: readonly number[];
    readonly mean: number;
    readonly variance: number;
    readonly slope: readonly number[];
  };
  readonly zeros: Estimate;
  readonly half: {
    readonly mean: { readonly value: { data: number[] }; standardError: { data: number[] } };
    readonly evidence: Estimate;
  };
  readonly weighted: readonly Weighted[];
  readonly walks: { readonly [run in "short" | "again" | "long"]: Walked };
  readonly leaked: number;
}

const programs = join(root, "tests/outside/programs");
let project: Project;
let found: Found;

beforeAll(async () => {
  project = await createProject();
  cpSync(programs, project.folder, { recursive: true });
  const compiled = await compileProject(project, readdirSync(programs));
  expect(compiled.stdout).toBe("");
  const { code, stdout, stderr } = await runNode([join(project.folder, "out/main.js")]);
  expect(stderr).toBe("");
  expect(code).toBe(0);
  found = JSON.parse(stdout) as Found;
});
afterAll(() => project?.remove());

const [RATE, EXCESS] = [2, 0.3];
const NO_COUNT = Math.exp(-RATE);
const ZERO = EXCESS + (1 - EXCESS) * NO_COUNT;
const logFactorial = (k: number): number =>
  Array.from({ length: k }, (_, i) => Math.log(i + 1)).reduce((a, b) => a + b, 0);
const logPoisson = (k: number, rate: number) => k * Math.log(rate) - rate - logFactorial(k);

describe("a family from outside", () => {
  it("has its log-probability, which sums to one, its moments and its gradient", () => {
    const { logProb, mean, variance, slope } = found.counts;
    const support = logProb.slice(0, -2);
    support.forEach((value, k) => {
      const truth = k === 0 ? Math.log(ZERO) : Math.log1p(-EXCESS) + logPoisson(k, RATE);
      expect(Math.abs(value - truth), `k = ${k}`).toBeLessThan(1e-5 * (1 + Math.abs(truth)));
    });
    expect(support.reduce((sum, value) => sum + Math.exp(value), 0)).toBeCloseTo(1, 6);
    // JSON has no infinities: −∞ at −1 and at one half.
    expect(logProb.slice(-2)).toEqual([null, null]);
    expect(mean).toBeCloseTo((1 - EXCESS) * RATE, 6);
    expect(variance).toBeCloseTo((1 - EXCESS) * RATE * (1 + EXCESS * RATE), 5);
    expect(slope[0]).toBeCloseTo((-2 * (1 - EXCESS) * NO_COUNT) / ZERO + 3 / RATE - 1, 5);
    expect(slope[1]).toBeCloseTo((2 * (1 - NO_COUNT)) / ZERO - 1 / (1 - EXCESS), 5);
  });

  it("draws by it, the same however draws are cut", () => {
    const { values, parts } = found.counts;
    expectMean(values, (1 - EXCESS) * RATE, { what: "mean", detects: 0.07 });
    expectMean(
      values.map((k) => (k === 0 ? 1 : 0)),
      ZERO,
      { what: "share of zeros", detects: 0.025 },
    );
    expectMean(
      values.map((k) => (k === 2 ? 1 : 0)),
      (1 - EXCESS) * Math.exp(logPoisson(2, RATE)),
      { what: "share of twos", detects: 0.025 },
    );
    expect(parts).toEqual(values.slice(2, 5));
  });

  it("is a likelihood like any other", () => {
    // Over the logit t of the excess, by the trapezoid rule: exact to rounding for a smooth integrand that vanishes at both ends.
    const step = 1e-2;
    let evidence = 0;
    for (let t = -12; t <= 12; t += step) {
      const share = 1 / (1 + Math.exp(-t));
      const zero = share + (1 - share) * NO_COUNT;
      const counts = (1 - share) ** 2 * Math.exp(logPoisson(3, RATE) + logPoisson(1, RATE));
      evidence += ((step * Math.exp((-t * t) / 2)) / Math.sqrt(2 * Math.PI)) * zero ** 2 * counts;
    }
    expectEstimate(found.zeros, Math.log(evidence), { what: "log evidence", detects: 0.03 });
  });
});

const X = 2;

describe("a handler from outside", () => {
  it("leads to the power posterior", () => {
    const t = 0.5;
    const { mean, evidence } = found.half;
    const [value = Number.NaN] = mean.value.data;
    const [standardError = Number.NaN] = mean.standardError.data;
    expectEstimate({ value, standardError }, (t * X) / (1 + t), { what: "mean", detects: 0.03 });
    const truth = -0.5 * (t * Math.log(2 * Math.PI) + Math.log1p(t) + (t * X ** 2) / (1 + t));
    expectEstimate(evidence, truth, { what: "log evidence", detects: 0.025 });
  });
});

describe("a method from outside", () => {
  it("estimates the evidence without bias, and the posterior's mean", () => {
    const truth = Math.exp((-X * X) / 4) / Math.sqrt(4 * Math.PI);
    expectMean(
      found.weighted.map(({ evidence }) => evidence),
      truth,
      { what: "evidence", detects: 0.004 },
    );
    expectMean(
      found.weighted.map(({ mean }) => mean),
      X / 2,
      { what: "mean", detects: 0.04 },
    );
  });

  it("keeps its promise about weights, and labels its evidence", () => {
    const bound = -0.5 * Math.log(2 * Math.PI) - Math.log(0.1);
    for (const { largest, of } of found.weighted) {
      expect(largest).toBeLessThan(bound + 1e-5);
      expect(of).toBe("log p(data)");
    }
    expect(meanOf(found.weighted.map(({ ess }) => ess)).value).toBeGreaterThan(50);
  });
});

const CHAINS = 64;
/** Means over the draws of each chain: chains are independent. */
const chainMeans = (draws: readonly number[], of: (x: number) => number): number[] => {
  const kept = draws.length / CHAINS;
  return Array.from({ length: CHAINS }, (_, c) => meanOf(draws.slice(c * kept, (c + 1) * kept).map(of)).value);
};

describe("a sampler from outside", () => {
  it("is a kernel on the driver: its chains have the posterior's moments, in coordinates of either kind", () => {
    const { mu, lambda, acceptance, rhat, nonFinite, compiled } = found.walks.long;
    expect(compiled).toBe(true);
    expect(nonFinite).toBe(0);
    expect(rhat).toBeLessThan(1.02);
    expect(acceptance).toBeGreaterThan(0.3);
    expect(acceptance).toBeLessThan(0.6);
    expectMean(
      chainMeans(mu, (x) => x),
      X / 2,
      { what: "mean", detects: 0.06 },
    );
    expectMean(
      chainMeans(mu, (x) => x * x),
      0.5 + (X / 2) ** 2,
      { what: "second moment", detects: 0.13 },
    );
    expectMean(
      chainMeans(lambda, (x) => x),
      2,
      { what: "mean, positive", detects: 0.12 },
    );
    expectMean(
      chainMeans(lambda, (x) => x * x),
      6,
      { what: "second moment, positive", detects: 0.7 },
    );
  });

  it("makes the same draws op by op and compiled", () => {
    const { short, again } = found.walks;
    expect([short.compiled, again.compiled]).toEqual([false, true]);
    expect(short.mu).toHaveLength(CHAINS * 50);
    // Chains that decide alike stay together to rounding; one that does not, by a uniform next to its ratio, is another chain.
    const apart = short.mu.filter((x, i) => Math.abs(x - (again.mu[i] as number)) > 1e-3).length;
    expect(apart / short.mu.length).toBeLessThan(0.05);
  });
});

it("none of them leaves a tensor behind", () => {
  expect(found.leaked).toBe(0);
});
