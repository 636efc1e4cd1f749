/**
 * Methods × models: every model whose answers are known, by every method that applies to it. A cell that does not apply is not in
 * the table.
 */
import { beforeAll, describe, expect, it } from "vitest";
import { type NdArray, ndarray } from "../../src/core/array.ts";
import { scope } from "../../src/core/scope.ts";
import type { Tree } from "../../src/core/tree.ts";
import { snis } from "../../src/inference/importance/snis.ts";
import { type LangevinOptions, langevin } from "../../src/inference/mcmc/langevin.ts";
import { mala } from "../../src/inference/mcmc/mala.ts";
import { type ChainKind, mcmc } from "../../src/inference/mcmc/mcmc.ts";
import { infer, type Method } from "../../src/inference/method/infer.ts";
import { elbo } from "../../src/inference/vi/elbo.ts";
import { iwae } from "../../src/inference/vi/iwae.ts";
import type { Bound } from "../../src/inference/weights/bound.ts";
import { logZ } from "../../src/inference/weights/log-z.ts";
import { startTestedEngine } from "../support/engine.ts";
import { ALPHA, criticalZ, expectEstimate, expectMean } from "../support/statistics.ts";
import type { AnyModel, Known, Moment } from "./known.ts";
import { conjugateModels } from "./known-conjugate.ts";
import { gaussianModels } from "./known-gaussian.ts";
import { summedModels } from "./known-summed.ts";

beforeAll(() => startTestedEngine());

const SEED = 1;
const models = [...gaussianModels(), ...conjugateModels(), ...summedModels()];
const Z = criticalZ(ALPHA);

/** A bound with the rounding of float32 beside its Monte Carlo error. */
const rounded = ({ value, standardError }: Bound) => ({
  value,
  standardError: Math.hypot(standardError, 2e-6 * (1 + Math.abs(value))),
});

const weighted = async (known: Known, proposal: AnyModel | undefined) => {
  const r = await infer(known.model, snis(40_000, proposal === undefined ? {} : { proposal }), { seed: SEED });
  expectEstimate(rounded(r.logEvidence), known.logEvidence, { what: "evidence", detects: 0.15 });
  expect(r.logEvidence).toMatchObject({ side: "lower", of: known.of });
  for (const { what, of, truth, detects } of known.moments) expectEstimate(r.expectation(of), truth, { what, detects });
  return r;
};

/** Mean of h over each chain: chains are independent of one another. */
const chainMeans = (sites: Tree<NdArray>, of: Moment["of"], chains: number, kept: number): Float64Array =>
  scope(() => {
    const draws = Object.fromEntries(
      Object.entries(sites).map(([name, { data, shape }]) => [
        name,
        ndarray(data, [chains * kept, ...shape.slice(2)]).tensor(),
      ]),
    );
    const h = of(draws).dataSync();
    return Float64Array.from({ length: chains }, (_, c) => {
      let sum = 0;
      for (let t = 0; t < kept; t++) sum += h[c * kept + t] as number;
      return sum / kept;
    });
  });
const CHAINS = 360;
const KEPT = 30;
const LENGTH = { chains: CHAINS, steps: KEPT * 5, thin: 5 };
const sampled = async (known: Known, method: Method<ChainKind<string>, undefined>, truths: readonly number[]) => {
  const r = await infer(known.model, method, { seed: SEED });
  known.moments.forEach(({ what, of, detects }, i) => {
    expectMean(chainMeans(r.sites, of, CHAINS, KEPT), truths[i] as number, { what, detects });
  });
  return r;
};
const walked = (known: Known, options: LangevinOptions, truths: readonly number[]) =>
  sampled(known, langevin({ ...LENGTH, ...options }), truths);

/** Kernels as they are, on the driver alone: a row for each sampler. */
const KERNELS = { "mala()": { kernel: mala(), targetAcceptance: 0.574 } } as const;

describe.each(models)("$name", (known) => {
  const { model, logEvidence, moments, guide, gap, posterior, continuous, ula, essRatio } = known;
  const lower = (bound: Bound, truth: number, what: string) => {
    const { value, standardError } = rounded(bound);
    expect(value, `${what} ${value} ± ${standardError} above ${truth}`).toBeLessThanOrEqual(truth + Z * standardError);
    expect(bound).toMatchObject({ side: "lower", of: known.of });
  };

  it("SNIS from the prior, and log Z from both sides", async () => {
    const r = await weighted(known, undefined);
    if (essRatio !== undefined) expect(Math.abs(r.essRatio / essRatio - 1)).toBeLessThan(0.05);
    const sandwich = logZ(r.logWeights.data);
    const noise = Z * r.logEvidence.standardError + 1e-5;
    expect(sandwich.lower.value).toBeLessThanOrEqual(logEvidence + noise);
    expect(sandwich.upper.value).toBeGreaterThanOrEqual(logEvidence - noise);
    expect(sandwich.upper.value).toBeGreaterThanOrEqual(sandwich.lower.value);
    expect(sandwich.upper.value - sandwich.lower.value).toBeLessThan(0.1);
  });

  it("SNIS from a guide", async () => {
    await weighted(known, guide);
  });

  if (posterior !== undefined) {
    it("SNIS from the posterior: every weight is the evidence", async () => {
      const r = await infer(model, snis(2000, { proposal: posterior }), { seed: SEED });
      expect(r.essRatio).toBeGreaterThan(1 - 1e-6);
      expect(Math.abs(r.logEvidence.value - logEvidence)).toBeLessThan(1e-5 * (1 + Math.abs(logEvidence)));
      for (const { what, of, truth, detects } of moments) {
        expectEstimate(r.expectation(of), truth, { what, detects: 4 * detects });
      }
    });
  }

  if (continuous) {
    it("MALA", async () => {
      const truths = moments.map(({ truth }) => truth);
      const r = await walked(known, { warmup: 120, stepSize: 0.1 }, truths);
      expect(Math.abs(r.acceptance - 0.574)).toBeLessThan(0.1);
      expect(r.nonFinite).toBe(0);
    });
  }

  if (continuous) {
    it.each(Object.entries(KERNELS))("mcmc(%s)", async (_, { kernel, targetAcceptance }) => {
      const truths = moments.map(({ truth }) => truth);
      const method = mcmc(kernel, { ...LENGTH, warmup: 120, stepSize: 0.1, targetAcceptance });
      expect((await sampled(known, method, truths)).nonFinite).toBe(0);
    });
  }

  if (ula !== undefined) {
    it("ULA, with its own exact bias", async () => {
      await walked(known, { warmup: 100, adjusted: false, stepSize: ula.stepSize }, ula.truths);
    });
  }

  it("ELBO: below the evidence by KL(guide ‖ posterior), which K draws close", async () => {
    const elbow = await infer(model, elbo(guide, { steps: 0, boundDraws: 20_000 }), { seed: SEED });
    lower(elbow.bound, logEvidence, "ELBO");
    expectEstimate(rounded(elbow.bound), logEvidence - gap, { what: "ELBO", detects: 0.2 });
    let below = elbow.bound;
    for (const k of [2, 8, 32]) {
      const { bound } = await infer(model, iwae(guide, k, { steps: 0, boundDraws: 12_000 / k }), { seed: SEED });
      lower(bound, logEvidence, `IWAE-${k}`);
      const slack = Z * Math.hypot(bound.standardError, below.standardError) + 1e-5;
      expect(bound.value).toBeGreaterThanOrEqual(below.value - slack);
      below = bound;
    }
    expect(logEvidence - below.value).toBeLessThan(gap / 4 + Z * below.standardError + 1e-5);
  });

  if (posterior !== undefined) {
    it("ELBO and IWAE at the posterior are the evidence", async () => {
      const near = (bound: Bound) => {
        expect(Math.abs(bound.value - logEvidence)).toBeLessThan(1e-5 * (1 + Math.abs(logEvidence)));
        expect(bound.standardError).toBeLessThan(1e-5);
      };
      near((await infer(model, elbo(posterior, { steps: 0, kl: "sampled", boundDraws: 100 }), { seed: SEED })).bound);
      near((await infer(model, iwae(posterior, 5, { steps: 0, boundDraws: 100 }), { seed: SEED })).bound);
    });
  }
});
