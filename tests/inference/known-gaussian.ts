/** Gaussian models and tilts, whose evidence and posterior are linear algebra. */
import * as tf from "@tensorflow/tfjs-core";
import { pipe } from "fp-ts/lib/function.js";
import { multivariateNormal, normal } from "../../src/dist/index.ts";
import { type Effect, model, observe, type Program, sample } from "../../src/effects/effects.ts";
import { tilt } from "../../src/effects/handlers.ts";
import { plate } from "../../src/effects/plate.ts";
import * as m from "../support/matrix.ts";
import { any, type Known, type Moment, matrix, vector } from "./known.ts";

/** Entry `i` of a vector site, and product of entries. */
const entry = (x: tf.Tensor | undefined, ...at: readonly number[]): tf.Tensor => {
  const value = x as tf.Tensor;
  const n = value.shape[0] as number;
  return tf.reshape(tf.slice(value, [0, ...at], [n, ...at.map(() => 1)]), [n]);
};

/** x ~ N(0, 1), y | x ~ N(x, 1), y = 1.2. */
const conjugate = (): Known => {
  const eta = 0.2;
  const biased = 0.5 / (1 - eta / (2 * 0.5));
  const second = (variance: number) => variance + 0.36;
  return {
    name: "conjugate normal",
    model: any(
      model(function* () {
        const x = yield* sample("x", normal(0, 1));
        yield* observe("y", normal(x, 1), 1.2);
      }),
    ),
    logEvidence: m.normalLogDensity([1.2], [0], [[2]]),
    of: "log p(data)",
    moments: [
      { what: "E[x | y]", of: ({ x }) => x as tf.Tensor, truth: 0.6, detects: 0.12 },
      { what: "E[x² | y]", of: ({ x }) => tf.square(x as tf.Tensor), truth: second(0.5), detects: 0.15 },
    ],
    guide: any(
      model(function* () {
        yield* sample("x", normal(0.3, 1));
      }),
    ),
    gap: m.normalKl([0.3], [[1]], [0.6], [[0.5]]),
    posterior: any(
      model(function* () {
        yield* sample("x", normal(0.6, Math.SQRT1_2));
      }),
    ),
    continuous: true,
    ula: { stepSize: eta, truths: [0.6, second(biased)] },
  };
};

/** N(m, S) tilted by E = ½xᵀAx − bᵀx + c, with nothing diagonal. */
const quadraticTilt = (): Known => {
  const [mean, S] = [
    [0.5, -1],
    [
      [1, 0.4],
      [0.4, 0.7],
    ],
  ] as const;
  const [A, b, c] = [
    [
      [1, -0.3],
      [-0.3, 0.5],
    ],
    [0.6, -0.2],
    0.7,
  ] as const;
  const P = m.inverse(S);
  const tiltedS = m.inverse(m.plus(P, A));
  const tiltedMean = m.apply(tiltedS, m.add(m.apply(P, mean), b));
  /** log Z of the energy times `power`. */
  const logZOf = (power: number) => {
    const covariance = m.inverse(m.plus(P, m.scaled(power, A)));
    const shift = m.add(
      m.apply(P, mean),
      b.map((v) => power * v),
    );
    return (
      -power * c +
      (m.logDet(covariance) - m.logDet(S) + m.quadraticForm(covariance, shift) - m.quadraticForm(P, mean)) / 2
    );
  };
  const logZ =
    -c +
    (m.logDet(tiltedS) - m.logDet(S) + m.quadraticForm(m.inverse(tiltedS), tiltedMean) - m.quadraticForm(P, mean)) / 2;
  const energy = (x: tf.Tensor) => {
    const flat = tf.reshape(x, [-1, 2]) as tf.Tensor2D;
    const Ax = tf.matMul(flat, matrix(A).tensor() as tf.Tensor2D);
    const e = tf.add(tf.sum(tf.mul(flat, tf.sub(tf.div(Ax, 2), vector(b).tensor())), 1), c);
    return tf.reshape(e, x.shape.slice(0, -1));
  };
  // ULA in each eigendirection of the precision Q: variance 1/(Q(1 − ηQ/2)).
  const eta = 0.15;
  const Q = m.inverse(tiltedS);
  const biasedS = m.inverse(m.plus(Q, m.scaled(-eta / 2, m.times(Q, Q))));
  const moments = (cov: m.Matrix): readonly Moment[] => [
    { what: "E[x₀]", of: ({ x }) => entry(x, 0), truth: tiltedMean[0] as number, detects: 0.12 },
    { what: "E[x₁]", of: ({ x }) => entry(x, 1), truth: tiltedMean[1] as number, detects: 0.12 },
    {
      what: "E[x₀x₁]",
      of: ({ x }) => tf.mul(entry(x, 0), entry(x, 1)),
      truth: (cov[0]?.[1] as number) + (tiltedMean[0] as number) * (tiltedMean[1] as number),
      detects: 0.15,
    },
    {
      what: "E[x₀²]",
      of: ({ x }) => tf.square(entry(x, 0)),
      truth: (cov[0]?.[0] as number) + (tiltedMean[0] as number) ** 2,
      detects: 0.15,
    },
  ];
  const [loc, spread] = [[0.3, -0.6], m.identity(2, 0.6)] as const;
  return {
    name: "Gaussian × quadratic tilt",
    model: any(
      pipe(
        model(function* () {
          yield* sample("x", multivariateNormal({ loc: vector(mean), covariance: matrix(S) }));
        }),
        tilt("x", energy),
      ),
    ),
    logEvidence: logZ,
    essRatio: Math.exp(2 * logZ - logZOf(2)),
    of: "log Z",
    moments: moments(tiltedS),
    guide: any(
      model(function* () {
        yield* sample("x", multivariateNormal({ loc: vector(loc), covariance: matrix(spread) }));
      }),
    ),
    gap: m.normalKl(loc, spread, tiltedMean, tiltedS),
    posterior: any(
      model(function* () {
        yield* sample("x", multivariateNormal({ loc: vector(tiltedMean), covariance: matrix(tiltedS) }));
      }),
    ),
    continuous: true,
    ula: { stepSize: eta, truths: moments(biasedS).map((moment) => moment.truth) },
  };
};

/** ½zᵀAz − aᵀz. */
const quadraticEnergy = (z: tf.Tensor, A: m.Matrix, a: m.Vector) => {
  const flat = tf.reshape(z, [-1, 2]) as tf.Tensor2D;
  const Az = tf.matMul(flat, matrix(A).tensor() as tf.Tensor2D);
  return tf.reshape(tf.sum(tf.mul(flat, tf.sub(tf.div(Az, 2), vector(a).tensor())), 1), z.shape.slice(0, -1));
};

/** Probabilistic PCA of two rows and three features, all or some observed, the latent as it is or tilted by ½zᵀAz − aᵀz. */
const ppca = (name: string, mask: m.Matrix | undefined, latent: { A: m.Matrix; a: m.Vector } | undefined): Known => {
  const W = [
    [1, 0.3],
    [-0.4, 0.8],
    [0.2, 0.5],
  ];
  const [mu, sigma] = [[0.2, -0.4, 1], 0.7];
  const rows = [
    [1.1, -0.9, 0.6],
    [-0.5, 0.7, 1.4],
  ];
  const A = latent?.A ?? m.identity(2, 0);
  const a = latent?.a ?? [0, 0];
  const tiltedS = m.inverse(m.plus(m.identity(2), A));
  const tiltedMean = m.apply(tiltedS, a);
  const logZ = (m.logDet(tiltedS) + m.dot(a, tiltedMean)) / 2;
  // Missing features: rows of W deleted.
  const exact = rows.map((x, r) => {
    const kept = x.map((_, j) => j).filter((j) => (mask?.[r]?.[j] ?? 1) === 1);
    const pick = <T>(v: readonly T[]) => kept.map((j) => v[j] as T);
    const [Wo, shift] = [pick(W), m.subtract(pick(x), pick(mu))];
    const Wt = m.transpose(Wo);
    const marginal = m.plus(m.times(Wo, m.times(tiltedS, Wt)), m.identity(kept.length, sigma ** 2));
    const S = m.inverse(m.plus(m.plus(m.identity(2), A), m.scaled(sigma ** -2, m.times(Wt, Wo))));
    const mean = m.apply(
      S,
      m.add(
        a,
        m.apply(Wt, shift).map((v) => v / sigma ** 2),
      ),
    );
    // ∇ log p(x) = −C⁻¹(x − μ), of the features seen; under a tilt that of p_E(x).
    const score = m.apply(m.inverse(marginal), m.subtract(m.apply(Wo, tiltedMean), shift));
    return {
      S,
      mean,
      score: { feature: kept[0] as number, truth: score[0] as number },
      logEvidence: m.normalLogDensity(shift, m.apply(Wo, tiltedMean), marginal) + logZ,
    };
  });
  const momentsAt = (covariance: (S: m.Matrix) => m.Matrix) =>
    exact.flatMap(({ S, mean, score }, r): Moment[] => [
      { what: `E[z${r}0]`, of: ({ z }) => entry(z, r, 0), truth: mean[0] as number, detects: 0.16 },
      {
        what: `E[z${r}0 z${r}1]`,
        of: ({ z }) => tf.mul(entry(z, r, 0), entry(z, r, 1)),
        truth: (covariance(S)[0]?.[1] as number) + (mean[0] as number) * (mean[1] as number),
        detects: 0.15,
      },
      {
        // Fisher's identity: the score of x is the posterior mean of that of x given z.
        what: `∂ log p(x)/∂x${r}${score.feature}`,
        of: ({ z }) => {
          const [w0, w1] = W[score.feature] as [number, number];
          const at = (rows[r]?.[score.feature] as number) - (mu[score.feature] as number);
          return tf.div(tf.sub(tf.add(tf.mul(w0, entry(z, r, 0)), tf.mul(w1, entry(z, r, 1))), at), sigma ** 2);
        },
        truth: score.truth,
        detects: 0.3,
      },
    ]);
  const eta = 0.15;
  const settled = (S: m.Matrix) => {
    const Q = m.inverse(S);
    return m.inverse(m.plus(Q, m.scaled(-eta / 2, m.times(Q, Q))));
  };
  const means = exact.map((row) => row.mean);
  const loose = 0.75;
  const values = rows.map((x, r) => x.map((v, j) => ((mask?.[r]?.[j] ?? 1) === 1 ? v : Number.NaN)));
  const program = (body: () => Program<Effect, unknown>) =>
    any(
      model(function* () {
        yield* plate("rows", rows.length, body);
      }),
    );
  const base = model(function* () {
    yield* plate("rows", rows.length, function* () {
      const z = yield* sample("z", normal(tf.zeros([2]), 1).event(1));
      const flat = tf.matMul(tf.reshape(z, [-1, 2]) as tf.Tensor2D, matrix(m.transpose(W)).tensor() as tf.Tensor2D);
      const mean = tf.add(tf.reshape(flat, [...z.shape.slice(0, -1), 3]), vector(mu).tensor());
      yield* observe(
        "x",
        normal(mean, sigma).event(1),
        matrix(values),
        mask === undefined ? {} : { mask: matrix(mask) },
      );
    });
  });
  return {
    name,
    model:
      latent === undefined
        ? any(base)
        : any(
            pipe(
              base,
              tilt("z", (z) => quadraticEnergy(z, A, a)),
            ),
          ),
    logEvidence: exact.reduce((s, row) => s + row.logEvidence, 0),
    of: latent === undefined ? "log p(data)" : "log p(data) + log Z",
    moments: momentsAt((S) => S),
    ula: { stepSize: eta, truths: momentsAt(settled).map(({ truth }) => truth) },
    guide: program(function* () {
      yield* sample("z", normal(matrix(means), loose).event(1));
    }),
    gap: exact.reduce((s, { S, mean }) => s + m.normalKl(mean, m.identity(2, loose ** 2), mean, S), 0),
    posterior: program(function* () {
      yield* sample("z", multivariateNormal({ loc: matrix(means), covariance: matrix(exact.map((row) => row.S)) }));
    }),
    continuous: true,
  };
};

/** PPCA whose latent is tilted by ½zᵀAz − aᵀz, and whose x is latent too: x ~ N(μ + W S_t a, W S_t Wᵀ + σ²I). */
const tiltedData = (): Known => {
  const [W, mu, sigma] = [
    [
      [1, 0.3],
      [-0.4, 0.8],
    ],
    [0.2, -0.4],
    0.7,
  ] as const;
  const { A, a } = latentTilt;
  const S = m.inverse(m.plus(m.identity(2), A));
  const mean = m.apply(S, a);
  const loose = 0.9;
  const [Wt, noise] = [m.transpose(W), m.identity(2, sigma ** 2)];
  const xMean = m.add(mu, m.apply(W, mean));
  const xCovariance = m.plus(m.times(W, m.times(S, Wt)), noise);
  const inside = (z: tf.Tensor) => {
    const flat = tf.matMul(tf.reshape(z, [-1, 2]) as tf.Tensor2D, matrix(Wt).tensor() as tf.Tensor2D);
    return normal(tf.add(tf.reshape(flat, z.shape), vector(mu).tensor()), sigma).event(1);
  };
  const guideOf = (covariance: m.Matrix) =>
    any(
      model(function* () {
        const z = yield* sample("z", multivariateNormal({ loc: vector(mean), covariance: matrix(covariance) }));
        yield* sample("x", inside(z));
      }),
    );
  const momentsAt = (covariance: m.Matrix): readonly Moment[] => [
    { what: "E[x₀]", of: ({ x }) => entry(x, 0), truth: xMean[0] as number, detects: 0.28 },
    { what: "E[x₁]", of: ({ x }) => entry(x, 1), truth: xMean[1] as number, detects: 0.28 },
    {
      what: "E[x₀²]",
      of: ({ x }) => tf.square(entry(x, 0)),
      truth: (covariance[0]?.[0] as number) + (xMean[0] as number) ** 2,
      detects: 0.4,
    },
    {
      what: "E[x₀x₁]",
      of: ({ x }) => tf.mul(entry(x, 0), entry(x, 1)),
      truth: (covariance[0]?.[1] as number) + (xMean[0] as number) * (xMean[1] as number),
      detects: 0.3,
    },
  ];
  // ULA moves (z, x) together: their joint precision decides what it settles in.
  const eta = 0.1;
  const corner = m.scaled(-(sigma ** -2), W);
  const upper = m.plus(m.inverse(S), m.scaled(sigma ** -2, m.times(Wt, W)));
  const Q = [
    ...upper.map((row, i) => [...row, ...corner.map((c) => c[i] as number)]),
    ...corner.map((row, i) => [...row, ...(m.identity(2, sigma ** -2)[i] as number[])]),
  ];
  const settled = m.inverse(m.plus(Q, m.scaled(-eta / 2, m.times(Q, Q))));
  return {
    name: "PPCA, latent tilted, data unseen",
    model: any(
      pipe(
        model(function* () {
          const z = yield* sample("z", normal(tf.zeros([2]), 1).event(1));
          yield* sample("x", inside(z));
        }),
        tilt("z", (z) => quadraticEnergy(z, A, a)),
      ),
    ),
    logEvidence: (m.logDet(S) + m.dot(a, mean)) / 2,
    of: "log Z",
    moments: momentsAt(xCovariance),
    guide: guideOf(m.identity(2, loose ** 2)),
    gap: m.normalKl(mean, m.identity(2, loose ** 2), mean, S),
    posterior: guideOf(S),
    continuous: true,
    ula: { stepSize: eta, truths: momentsAt(settled.slice(2).map((row) => row.slice(2))).map(({ truth }) => truth) },
  };
};

const someMissing = [
  [1, 0, 1],
  [0, 1, 0],
];
const latentTilt = {
  A: [
    [0.8, 0.2],
    [0.2, 0.3],
  ],
  a: [0.5, -0.4],
};

/** All rows. */
export const gaussianModels = (): readonly Known[] => [
  conjugate(),
  quadraticTilt(),
  ppca("PPCA", undefined, undefined),
  ppca("PPCA, features missing", someMissing, undefined),
  ppca("PPCA, latent tilted", undefined, latentTilt),
  ppca("PPCA, features missing and latent tilted", someMissing, latentTilt),
  tiltedData(),
];
