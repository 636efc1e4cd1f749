/** An enumerable model, data missing not at random, a network's energy: exact by sums, quadrature and one known integral. */
import * as tf from "@tensorflow/tfjs-core";
import { pipe } from "fp-ts/lib/function.js";
import { bernoulli, multivariateNormal, normal } from "../../src/dist/index.ts";
import { model, observe, sample } from "../../src/effects/effects.ts";
import { tilt } from "../../src/effects/handlers.ts";
import { ndtr } from "../../src/engine/special.ts";
import * as m from "../support/matrix.ts";
import { integrate, integrate2 } from "../support/quadrature.ts";
import { normalCdf } from "../support/special.ts";
import { any, type Known, logNormal, matrix, single, value, vector } from "./known.ts";

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
    const logPrior = z.reduce((s, v, i) => s + Math.log(v === 1 ? (prior[i] as number) : 1 - (prior[i] as number)), 0);
    return logPrior - logits.reduce((s, l, j) => s + Math.log1p(Math.exp(x[j] === 1 ? -l : l)), 0);
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
      { what: "P(z₀)", of: ({ z }) => column(z, 0), truth: marginals[0] as number, detects: 0.06 },
      { what: "P(z₇)", of: ({ z }) => column(z, 7), truth: marginals[7] as number, detects: 0.06 },
      {
        what: "P(z₂, z₅)",
        of: ({ z }) => tf.mul(column(z, 2), column(z, 5)),
        truth: expect((z) => (z[2] as number) * (z[5] as number)),
        detects: 0.06,
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
  const t = (alpha + beta_ * mean) / scale;
  const ratio = Math.exp(logNormal(0, 1)(t)) / normalCdf(t);
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
    logEvidence: m.normalLogDensity([seen], [0], [[C00]]) + Math.log(normalCdf(t)),
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
      Math.log(normalCdf(t)) -
      integrate(
        (x) => Math.exp(logNormal(mean, s)(x)) * Math.log(normalCdf(alpha + beta_ * x)),
        mean - 5 * s,
        mean + 9 * s,
      ),
    continuous: true,
  };
};

/** x ~ N(μ, s²), missing with probability Φ(α + βx), and missing it is. */
const probitSelection = (): Known => {
  const [mu, s, alpha, beta_] = [0.4, 1.3, -0.5, 0.9];
  const scale = Math.sqrt(1 + (beta_ * s) ** 2);
  const t = (alpha + beta_ * mu) / scale;
  const ratio = Math.exp(logNormal(0, 1)(t)) / normalCdf(t);
  const shift = (s * s * beta_ * ratio) / scale;
  const rho = (beta_ * s) / scale;
  const variance = s * s * (1 - rho ** 2 * ratio * (t + ratio));
  const logPosterior = (x: number) =>
    logNormal(mu, s)(x) + Math.log(normalCdf(alpha + beta_ * x)) - Math.log(normalCdf(t));
  const [from, to] = [mu - 6 * s, mu + 8 * s];
  const q = logNormal(mu + shift, 1);
  return {
    name: "one number, missing by probit",
    model: any(
      model(function* () {
        const x = yield* sample("x", normal(mu, s));
        yield* observe("missing", bernoulli({ probs: ndtr(tf.add(alpha, tf.mul(beta_, x))) }), 1);
      }),
    ),
    logEvidence: Math.log(normalCdf(t)),
    of: "log p(data)",
    moments: [
      { what: "E[x | missing]", of: ({ x }) => value(x), truth: mu + shift, detects: 0.15 },
      {
        what: "E[x² | missing]",
        of: ({ x }) => tf.square(value(x)),
        truth: variance + (mu + shift) ** 2,
        detects: 0.4,
      },
    ],
    guide: any(single(() => normal(mu + shift, 1))),
    gap: integrate((x) => Math.exp(q(x)) * (q(x) - logPosterior(x)), from, to),
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
export const summedModels = (): readonly Known[] => [enumerable(), probitSelection(), missingNotAtRandom(), network()];
