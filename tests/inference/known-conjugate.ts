import * as tf from "@tensorflow/tfjs-core";
import { pipe } from "fp-ts/lib/function.js";
import { beta, binomial, categorical, gamma, mixtureSameFamily, normal, poisson } from "../../src/dist/index.ts";
import { model, observe, sample } from "../../src/effects/effects.ts";
import { tilt } from "../../src/effects/handlers.ts";
import { integrate, klOnInterval } from "../support/quadrature.ts";
import { lgamma } from "../support/special.ts";
import { any, type Known, logNormal, single, value, vector } from "./known.ts";

const lbeta = (a: number, b: number) => lgamma(a) + lgamma(b) - lgamma(a + b);
const logBeta = (a: number, b: number) => (x: number) => (a - 1) * Math.log(x) + (b - 1) * Math.log1p(-x) - lbeta(a, b);
const logGamma = (a: number, b: number) => (x: number) => a * Math.log(b) - lgamma(a) + (a - 1) * Math.log(x) - b * x;

/** p ~ Beta(2, 3), 7 heads of 10. */
const coin = (): Known => ({
  name: "beta–binomial coin",
  model: any(
    model(function* () {
      const p = yield* sample("p", beta(2, 3));
      yield* observe("heads", binomial(10, { probs: p }), 7);
    }),
  ),
  logEvidence: Math.log(120) + lbeta(9, 6) - lbeta(2, 3),
  of: "log p(data)",
  moments: [
    { what: "E[p]", of: ({ p }) => value(p), truth: 9 / 15, detects: 0.03 },
    { what: "E[p²]", of: ({ p }) => tf.square(value(p)), truth: (9 * 10) / (15 * 16), detects: 0.03 },
  ],
  guide: any(
    model(function* () {
      yield* sample("p", beta(5, 4));
    }),
  ),
  gap: klOnInterval(logBeta(5, 4), logBeta(9, 6), 0, 1),
  posterior: any(
    model(function* () {
      yield* sample("p", beta(9, 6));
    }),
  ),
  continuous: true,
});

/** Gamma(3, 2) by e^{−1.5x}: Gamma(3, 3.5). */
const gammaTilt = (): Known => ({
  name: "gamma tilt",
  model: any(
    pipe(
      single(() => gamma(3, 2)),
      tilt("x", (x) => tf.mul(1.5, x)),
    ),
  ),
  logEvidence: 3 * Math.log(2 / 3.5),
  essRatio: (2 / 3.5) ** 6 / (2 / 5) ** 3,
  of: "log Z",
  moments: [
    { what: "E[x]", of: ({ x }) => value(x), truth: 3 / 3.5, detects: 0.06 },
    {
      what: "E[log x]",
      of: ({ x }) => tf.log(value(x)),
      truth: integrate((x) => Math.exp(logGamma(3, 3.5)(x)) * Math.log(x), 0, 12),
      detects: 0.1,
    },
  ],
  guide: any(single(() => gamma(4, 4))),
  gap: klOnInterval(logGamma(4, 4), logGamma(3, 3.5), 0, 12),
  posterior: any(single(() => gamma(3, 3.5))),
  continuous: true,
});

/** Beta(2, 2) by x^{1.5}(1 − x)^{.5}: Beta(3.5, 2.5). */
const betaTilt = (): Known => ({
  name: "beta tilt",
  model: any(
    pipe(
      single(() => beta(2, 2)),
      tilt("x", (x) => tf.neg(tf.add(tf.mul(1.5, tf.log(x)), tf.mul(0.5, tf.log(tf.sub(1, x)))))),
    ),
  ),
  logEvidence: lbeta(3.5, 2.5) - lbeta(2, 2),
  essRatio: Math.exp(2 * lbeta(3.5, 2.5) - lbeta(2, 2) - lbeta(5, 3)),
  of: "log Z",
  moments: [
    { what: "E[x]", of: ({ x }) => value(x), truth: 3.5 / 6, detects: 0.03 },
    { what: "E[x²]", of: ({ x }) => tf.square(value(x)), truth: (3.5 * 4.5) / (6 * 7), detects: 0.03 },
  ],
  guide: any(single(() => beta(3, 3))),
  gap: klOnInterval(logBeta(3, 3), logBeta(3.5, 2.5), 0, 1),
  posterior: any(single(() => beta(3.5, 2.5))),
  continuous: true,
});

/** Poisson(3) by e^{.4k}: Poisson(3e^{.4}). */
const poissonTilt = (): Known => {
  const rate = 3 * Math.exp(0.4);
  return {
    name: "Poisson tilt",
    model: any(
      pipe(
        single(() => poisson(3)),
        tilt("x", (x) => tf.mul(-0.4, x)),
      ),
    ),
    logEvidence: 3 * Math.expm1(0.4),
    essRatio: Math.exp(6 * Math.expm1(0.4) - 3 * Math.expm1(0.8)),
    of: "log Z",
    moments: [
      { what: "E[k]", of: ({ x }) => value(x), truth: rate, detects: 0.25 },
      { what: "E[k²]", of: ({ x }) => tf.square(value(x)), truth: rate + rate ** 2, detects: 3.5 },
    ],
    guide: any(single(() => poisson(4))),
    gap: 4 * Math.log(4 / rate) - 4 + rate,
    posterior: any(single(() => poisson(rate))),
    continuous: false,
  };
};

/** p_k e^{−E_k}/Z with E_k = .7k − .2k². */
const categoricalTilt = (): Known => {
  const probs = [0.5, 0.3, 0.2];
  const weights = probs.map((p, k) => p * Math.exp(-0.7 * k + 0.2 * k * k));
  const Z = weights.reduce((s, w) => s + w, 0);
  const tilted = weights.map((w) => w / Z);
  const guide = [0.4, 0.4, 0.2];
  return {
    name: "categorical tilt",
    model: any(
      pipe(
        single(() => categorical({ probs: vector(probs) })),
        tilt("x", (k) => tf.sub(tf.mul(0.7, value(k)), tf.mul(0.2, tf.square(value(k))))),
      ),
    ),
    logEvidence: Math.log(Z),
    essRatio: Z ** 2 / weights.reduce((s, w, k) => s + w ** 2 / (probs[k] as number), 0),
    of: "log Z",
    moments: tilted.map((truth, k) => ({
      what: `P(${k})`,
      of: ({ x }) => tf.cast(tf.equal(value(x), k), "float32"),
      truth,
      detects: 0.03,
    })),
    guide: any(single(() => categorical({ probs: vector(guide) }))),
    gap: guide.reduce((s, q, k) => s + q * Math.log(q / (tilted[k] as number)), 0),
    posterior: any(single(() => categorical({ probs: vector(tilted) }))),
    continuous: false,
  };
};

/** A mixture of two normals by e^{bx}: each moves by bs², its weight goes as πe^{bm + b²s²/2}. */
const mixtureTilt = (): Known => {
  const b = 0.8;
  const parts = [
    { p: 0.7, mean: -1.2, sd: 0.7 },
    { p: 0.3, mean: 1, sd: 0.5 },
  ];
  const Z = parts.map(({ p, mean, sd }) => p * Math.exp(b * mean + (b * sd) ** 2 / 2));
  const total = Z.reduce((s, z) => s + z, 0);
  const tilted = parts.map(({ mean, sd }, k) => ({ p: (Z[k] as number) / total, mean: mean + b * sd * sd, sd }));
  const mixture = (of: typeof parts) => () =>
    mixtureSameFamily(
      categorical({ probs: vector(of.map(({ p }) => p)) }),
      normal(vector(of.map(({ mean }) => mean)), vector(of.map(({ sd }) => sd))),
    );
  const logPosterior = (x: number) =>
    Math.log(tilted.reduce((s, { p, mean, sd }) => s + p * Math.exp(logNormal(mean, sd)(x)), 0));
  const moment = (power: (mean: number, sd: number) => number) =>
    tilted.reduce((s, { p, mean, sd }) => s + p * power(mean, sd), 0);
  return {
    name: "mixture of normals, tilted",
    model: any(
      pipe(
        single(mixture(parts)),
        tilt("x", (x) => tf.mul(-b, x)),
      ),
    ),
    logEvidence: Math.log(total),
    essRatio: total ** 2 / parts.reduce((s, { p, mean, sd }) => s + p * Math.exp(2 * b * mean + 2 * (b * sd) ** 2), 0),
    of: "log Z",
    moments: [
      { what: "E[x]", of: ({ x }) => value(x), truth: moment((mean) => mean), detects: 0.2 },
      {
        what: "E[x²]",
        of: ({ x }) => tf.square(value(x)),
        truth: moment((mean, sd) => mean ** 2 + sd ** 2),
        detects: 0.2,
      },
    ],
    guide: any(single(() => normal(0.3, 1.3))),
    gap: klOnInterval(logNormal(0.3, 1.3), logPosterior, -9, 9),
    posterior: any(single(mixture(tilted))),
    continuous: true,
  };
};

/** All rows. */
export const conjugateModels = (): readonly Known[] => [
  coin(),
  gammaTilt(),
  betaTilt(),
  poissonTilt(),
  categoricalTilt(),
  mixtureTilt(),
];
