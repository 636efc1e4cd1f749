/** summary.json: what a program reads. The same seed gives the same summary but for `seconds`. */
import type { Options } from "./options.ts";
import type { Outcome, TiltedBase } from "./pipeline.ts";

/** Digits after the point that are stable and mean something. */
const DIGITS = 6;
const round = (x: number): number => Number(x.toFixed(DIGITS));

/** Every number rounded; what is undefined is left out. */
const rounded = <T>(value: T): T =>
  (typeof value === "number"
    ? round(value)
    : Array.isArray(value)
      ? value.map(rounded)
      : value !== null && typeof value === "object"
        ? Object.fromEntries(Object.entries(value).map(([k, v]) => [k, rounded(v)]))
        : value) as T;

const tiltSummary = ({ untilted, snis, fit }: TiltedBase) => {
  const { shares, tv, fairness, essRatio, khat } = snis;
  return {
    before: untilted,
    snis: { shares, tv, fairness, essRatio, khat },
    logZ: { lower: fit.logZ.lower.value, upper: fit.logZ.upper.value },
    heldOutLoss: fit.heldOutLoss,
  };
};

/** The numbers of a run, as written to summary.json. */
export function summarize(outcome: Outcome, options: Options) {
  const { sets, vae, tilts, langevin, baselines, counter } = outcome;
  const { biasedCounts, unbiasedCounts, name } = sets;
  const { trainLoss, validationLoss, epochs } = vae;
  const bases = { prior: tiltSummary(tilts.prior), aggregate: tiltSummary(tilts.aggregate) };
  return rounded({
    seed: options.seed,
    engine: outcome.engine,
    options: { latent: options.latent, base: options.base, objective: options.objective, samples: options.samples },
    data: { name, biasedCounts, unbiasedCounts },
    classifier: { accuracy: counter.accuracy },
    vae: { trainLoss, validationLoss, epochs },
    before: outcome.before,
    snis: bases[options.base].snis,
    langevin,
    bases,
    baselines,
    seconds: outcome.seconds,
  });
}

export type Summary = ReturnType<typeof summarize>;
