/** Conjugate tilts, counts, an enumerable model, missing-not-at-random data and a network's energy: exact by formula or by sum. */
import erf from "@stdlib/math-base-special-erf";
import lgamma from "@stdlib/math-base-special-gammaln";
import * as tf from "@tensorflow/tfjs-core";
import { pipe } from "fp-ts/function";
import type { Distribution } from "../../src/dist/distribution.ts";
import {
  bernoulli,
  beta,
  binomial,
  categorical,
  gamma,
  mixtureSameFamily,
  multivariateNormal,
  normal,
  poisson,
} from "../../src/dist/index.ts";
import { type Effect, type Model, model, observe, sample } from "../../src/effects/effects.ts";
import { tilt } from "../../src/effects/handlers.ts";
import { ndtr } from "../../src/engine/special.ts";
import * as m from "../support/matrix.ts";
import { integrate, integrate2, klOnInterval } from "../support/quadrature.ts";
import { type AnyModel, type Known, matrix, vector } from "./known.ts";

const any = <E extends Effect>(of: Model<readonly never[], E, unknown>): AnyModel => of;
/** A program with one latent site. */
const single = (dist: () => Distribution) =>
  model(function* () {
    yield* sample("x", dist());
  });
const lbeta = (a: number, b: number) => lgamma(a) + lgamma(b) - lgamma(a + b);
const logBeta = (a: number, b: number) => (x: number) => (a - 1) * Math.log(x) + (b - 1) * Math.log1p(-x) - lbeta(a, b);
const logGamma = (a: number, b: number) => (x: number) => a * Math.log(b) - lgamma(a) + (a - 1) * Math.log(x) - b * x;
const logNormal = (mean: number, sd: number) => (x: number) => m.normalLogDensity([x], [mean], [[sd * sd]]);
const value = (x: tf.Tensor | undefined) => tf.cast(x as tf.Tensor, "float32");

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

/** z ∈ {0, 1}¹⁰, x of twelve bits with logits Wz + c: everything is a sum over 1024 terms. */
const enumerable = (): Known => {
  const [latents, bits] = [10, 12];
  const W = Array.from({ length: latents }, (_, i) =>
    Array.from({ length: bits }, (__, j) => 1.2 * Math.sin(3 * i + 5 * j + i * j)),
  );
  const prior = Array.from({ length: latents }, (_, i) => 0.3 + 0.04 * i);
  const x = Array.from({ length: bits }, (_, j) => (j % 3 === 0 ? 1 : 0));
  const states = Array.from({ length: 1 << latents }, (_, s) =>
    Array.from({ length: latents }, (__, i) => (s >> i) & 1),
  );
  const joint = states.map((z) => {
    const logits = m.add(
      m.apply(m.transpose(W), z),
      x.map(() => -0.3),
    );
    const prior_ = z.reduce((s, v, i) => s + Math.log(v === 1 ? (prior[i] as number) : 1 - (prior[i] as number)), 0);
    return prior_ - logits.reduce((s, l, j) => s + Math.log1p(Math.exp(x[j] === 1 ? -l : l)), 0);
  });
  const logEvidence = Math.log(joint.reduce((s, l) => s + Math.exp(l), 0));
  const posterior = joint.map((l) => Math.exp(l - logEvidence));
  const expect = (h: (z: readonly number[]) => number) =>
    states.reduce((s, z, i) => s + (posterior[i] as number) * h(z), 0);
  const marginals = prior.map((_, i) => expect((z) => z[i] as number));
  const column = (z: tf.Tensor | undefined, i: number) => tf.reshape(tf.slice(value(z), [0, i], [-1, 1]), [-1]);
  return {
    name: "enumerable: ten bits behind twelve",
    model: any(
      model(function* () {
        const z = yield* sample("z", bernoulli({ probs: vector(prior) }).event(1));
        const flat = tf.matMul(tf.reshape(value(z), [-1, latents]) as tf.Tensor2D, matrix(W).tensor() as tf.Tensor2D);
        const logits = tf.sub(tf.reshape(flat, [...z.shape.slice(0, -1), bits]), 0.3);
        yield* observe("x", bernoulli({ logits }).event(1), vector(x));
      }),
    ),
    logEvidence,
    of: "log p(data)",
    moments: [
      { what: "P(z₀)", of: ({ z }) => column(z, 0), truth: marginals[0] as number, detects: 0.05 },
      { what: "P(z₇)", of: ({ z }) => column(z, 7), truth: marginals[7] as number, detects: 0.05 },
      {
        what: "P(z₂, z₅)",
        of: ({ z }) => tf.mul(column(z, 2), column(z, 5)),
        truth: expect((z) => (z[2] as number) * (z[5] as number)),
        detects: 0.05,
      },
    ],
    guide: any(
      model(function* () {
        yield* sample("z", bernoulli({ probs: vector(marginals) }).event(1));
      }),
    ),
    gap: states.reduce((s, z, i) => {
      const logQ = z.reduce(
        (t, v, j) => t + Math.log(v === 1 ? (marginals[j] as number) : 1 - (marginals[j] as number)),
        0,
      );
      return s + Math.exp(logQ) * (logQ - Math.log(posterior[i] as number));
    }, 0),
    continuous: false,
  };
};

/** PPCA of two features; the second is missing, with probability Φ(α + βx₂): not at random. */
const missingNotAtRandom = (): Known => {
  const [W, sigma, seen] = [
    [
      [1.2, 0.3],
      [0.5, -0.9],
    ],
    0.6,
    0.8,
  ] as const;
  const [alpha, beta_] = [0.3, 1.4];
  const C = m.plus(m.times(W, m.transpose(W)), m.identity(2, sigma ** 2));
  // x₂ | x₁ ~ N(mean, variance).
  const [C00, C01, C11] = [C[0]?.[0] as number, C[0]?.[1] as number, C[1]?.[1] as number];
  const [mean, variance] = [(C01 / C00) * seen, C11 - C01 ** 2 / C00];
  const [s, scale] = [Math.sqrt(variance), Math.sqrt(1 + beta_ ** 2 * variance)];
  const Phi = (t: number) => (1 + erf(t / Math.SQRT2)) / 2;
  const t = (alpha + beta_ * mean) / scale;
  const ratio = Math.exp(logNormal(0, 1)(t)) / Phi(t);
  const rho = (beta_ * s) / scale;
  const first = mean + s * rho * ratio;
  const second = mean ** 2 + 2 * mean * s * rho * ratio + variance * (1 - rho ** 2 * t * ratio);
  const S = m.inverse(m.plus(m.identity(2), m.scaled(sigma ** -2, m.times(m.transpose([W[0]]), [W[0]]))));
  const zMean = m.apply(
    S,
    W[0].map((w) => (w * seen) / sigma ** 2),
  );
  const rowOf = (z: tf.Tensor, w: readonly number[]) => tf.sum(tf.mul(z, vector(w).tensor()), -1);
  return {
    name: "missing not at random, probit",
    model: any(
      model(function* () {
        const z = yield* sample("z", normal(tf.zeros([2]), 1).event(1));
        yield* observe("x1", normal(rowOf(z, W[0]), sigma), seen);
        const x2 = yield* sample("x2", normal(rowOf(z, W[1]), sigma));
        yield* observe("missing", bernoulli({ probs: ndtr(tf.add(alpha, tf.mul(beta_, x2))) }), 1);
      }),
    ),
    logEvidence: m.normalLogDensity([seen], [0], [[C00]]) + Math.log(Phi(t)),
    of: "log p(data)",
    moments: [
      { what: "E[x₂ | missing]", of: ({ x2 }) => value(x2), truth: first, detects: 0.2 },
      { what: "E[x₂² | missing]", of: ({ x2 }) => tf.square(value(x2)), truth: second, detects: 0.4 },
    ],
    // The posterior if it were missing at random.
    guide: any(
      model(function* () {
        const z = yield* sample("z", multivariateNormal({ loc: vector(zMean), covariance: matrix(S) }));
        yield* sample("x2", normal(rowOf(z, W[1]), sigma));
      }),
    ),
    gap:
      Math.log(Phi(t)) -
      integrate((x) => Math.exp(logNormal(mean, s)(x)) * Math.log(Phi(alpha + beta_ * x)), mean - 5 * s, mean + 9 * s),
    continuous: true,
  };
};

/** N(0, I₂) by the energy of a small network: sums over a grid. */
const network = (): Known => {
  const V = [
    [1.5, -0.8, 0.4],
    [0.6, 1.1, -1.7],
  ];
  const [shift, out] = [
    [0.2, -0.5, 0.9],
    [1.4, -1.1, 0.8],
  ];
  const energy = (x: number, y: number) =>
    out.reduce(
      (s, u, k) => s + u * Math.tanh(x * (V[0]?.[k] as number) + y * (V[1]?.[k] as number) + (shift[k] as number)),
      0,
    );
  const logBase = (x: number, y: number) => -Math.log(2 * Math.PI) - (x * x + y * y) / 2;
  const over = (h: (x: number, y: number) => number) =>
    integrate2((x, y) => h(x, y) * Math.exp(logBase(x, y) - energy(x, y)), -8, 8, 320);
  const Z = over(() => 1);
  const sd = 1.1;
  const logQ = (x: number, y: number) => -Math.log(2 * Math.PI * sd * sd) - (x * x + y * y) / (2 * sd * sd);
  return {
    name: "a network's energy, by grid",
    model: any(
      pipe(
        model(function* () {
          yield* sample("x", normal(tf.zeros([2]), 1).event(1));
        }),
        tilt("x", (x) => {
          const h = tf.tanh(
            tf.add(
              tf.matMul(tf.reshape(x, [-1, 2]) as tf.Tensor2D, matrix(V).tensor() as tf.Tensor2D),
              vector(shift).tensor(),
            ),
          );
          return tf.reshape(tf.sum(tf.mul(h, vector(out).tensor()), 1), x.shape.slice(0, -1));
        }),
      ),
    ),
    logEvidence: Math.log(Z),
    of: "log Z",
    moments: [
      {
        what: "E[x₀]",
        of: ({ x }) => tf.reshape(tf.slice(value(x), [0, 0], [-1, 1]), [-1]),
        truth: over((x) => x) / Z,
        detects: 0.13,
      },
      { what: "E[x₀x₁]", of: ({ x }) => tf.prod(value(x), 1), truth: over((x, y) => x * y) / Z, detects: 0.15 },
    ],
    guide: any(single(() => normal(tf.zeros([2]), sd).event(1))),
    gap: integrate2(
      (x, y) => Math.exp(logQ(x, y)) * (logQ(x, y) - logBase(x, y) + energy(x, y) + Math.log(Z)),
      -8,
      8,
      320,
    ),
    continuous: true,
  };
};

/** All rows. */
export const otherModels = (): readonly Known[] => [
  coin(),
  gammaTilt(),
  betaTilt(),
  poissonTilt(),
  categoricalTilt(),
  mixtureTilt(),
  enumerable(),
  missingNotAtRandom(),
  network(),
];
