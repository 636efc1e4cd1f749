/** Kullback–Leibler divergences: a table of closed forms by pairs of families, Monte Carlo for the rest and labelled so. */
import * as tf from "@tensorflow/tfjs-core";
import { checkWhole } from "../core/check.ts";
import { fail } from "../core/errors.ts";
import type { Key } from "../core/key.ts";
import { broadcastShapes, type Shape, sameShape, showShape } from "../core/shape.ts";
import { diagonal, triangularInverse, triangularSolve } from "../engine/linalg.ts";
import { mean, softplus } from "../engine/ops.ts";
import { broadcastTo } from "../engine/smooth.ts";
import { digamma, digammaCorrection, lbeta, logRatioGap, stirlingCorrection } from "../engine/special.ts";
import { classProbs, logClassProbs, weightedLogs } from "./categorical.ts";
import { logDirichletNormalizer } from "./dirichlet.ts";
import type { Distribution } from "./distribution.ts";
import { fromProbs } from "./logits.ts";
import { apply } from "./multivariate-normal.ts";

/** Parameters of a distribution, by name. */
type P = { readonly [name: string]: tf.Tensor };

/** A closed form for one pair of families. */
export interface KlEntry {
  /** Event axes of the families themselves; further ones, declared by `event(n)`, are summed over. */
  readonly eventRank: number;
  /** KL(p ‖ q) from the two sets of parameters, over batch and declared event axes. */
  kl(p: Distribution, q: Distribution): tf.Tensor;
}

/** Closed forms by `family of p|family of q`. */
export type KlTable = { readonly [pair: string]: KlEntry };

const get = (p: P, name: string): tf.Tensor => p[name] as tf.Tensor;

const scalar = (kl: (p: P, q: P) => tf.Tensor, eventRank = 0): KlEntry => ({
  eventRank,
  kl: (p, q) => kl(p.params, q.params),
});

/** ½(r − 1 − log r), r = σp²/σq²: what scales alone contribute between normals. */
const scaleTerm = (sp: tf.Tensor, sq: tf.Tensor): tf.Tensor =>
  tf.mul(logRatioGap(tf.square(tf.div(sp, sq)), tf.scalar(1)), -0.5);

const normalKl = (p: P, q: P): tf.Tensor => {
  const shift = tf.div(tf.sub(get(p, "loc"), get(q, "loc")), get(q, "scale"));
  return tf.add(scaleTerm(get(p, "scale"), get(q, "scale")), tf.mul(tf.square(shift), 0.5));
};

/** The Cholesky factor of either form of a multivariate normal. */
const factorOf = (p: P): tf.Tensor => {
  const scaleDiag = p.scaleDiag;
  if (scaleDiag === undefined) return get(p, "scaleTril");
  return tf.mul(tf.expandDims(scaleDiag, -1), tf.eye(scaleDiag.shape.at(-1) as number));
};

function multivariateNormalKl(p: P, q: P): tf.Tensor {
  if (p.scaleDiag !== undefined && q.scaleDiag !== undefined) {
    return tf.sum(normalKl({ loc: get(p, "loc"), scale: p.scaleDiag }, { loc: get(q, "loc"), scale: q.scaleDiag }), -1);
  }
  const [lp, lq] = [factorOf(p), factorOf(q)];
  const m = triangularSolve(lq, lp);
  const shift = apply(triangularInverse(lq), tf.sub(get(p, "loc"), get(q, "loc")));
  // ½(tr MMᵀ − d) − Σ log Mᵢᵢ + ½|shift|², the diagonal of M paired with its logarithm so that near scales do not cancel.
  const onDiagonal = tf.square(diagonal(m));
  const offDiagonal = tf.sub(tf.sum(tf.square(m), [m.rank - 2, m.rank - 1]), tf.sum(onDiagonal, -1));
  const gaps = tf.sum(logRatioGap(onDiagonal, tf.scalar(1)), -1);
  return tf.mul(tf.add(tf.sub(tf.relu(offDiagonal), gaps), tf.sum(tf.square(shift), -1)), 0.5);
}

/** log Γ(b) − log Γ(a) − (b − a)ψ(a) ≥ 0, the Bregman divergence of log Γ, Stirling's terms combined before they cancel. */
const logGammaBregman = (b: tf.Tensor, a: tf.Tensor): tf.Tensor => {
  const main = tf.add(tf.mul(b, logRatioGap(a, b)), tf.mul(logRatioGap(b, a), 0.5));
  const corrections = tf.sub(stirlingCorrection(b), stirlingCorrection(a));
  return tf.sub(tf.sub(corrections, tf.mul(tf.sub(b, a), digammaCorrection(a))), main);
};

/** Gamma from gamma: concentrations ap, aq and rates bp, bq. */
const gammaKl = (ap: tf.Tensor, bp: tf.Tensor, aq: tf.Tensor, bq: tf.Tensor): tf.Tensor => {
  // aq·log(bp/bq) + ap(bq/bp − 1): the part with ap is a gap.
  const rates = tf.sub(tf.mul(tf.sub(aq, ap), tf.log(tf.div(bp, bq))), tf.mul(ap, logRatioGap(bq, bp)));
  return tf.add(logGammaBregman(aq, ap), rates);
};

const one = tf.onesLike;

/** Between Bernoulli distributions, in logits where both are so given; probabilities of 0 and 1 are allowed. */
function bernoulliKl(p: P, q: P): tf.Tensor {
  if (p.logits !== undefined && q.logits !== undefined) {
    const [lp, lq] = [p.logits, q.logits];
    // Bregman divergence of softplus; symmetric under the exchange of the sides, so the smaller probability is used.
    const flip = tf.where(tf.greater(lp, 0), tf.neg(one(lp)), one(lp));
    const [a, b] = [tf.mul(lp, flip), tf.mul(lq, flip)];
    return tf.sub(tf.sub(softplus(b), softplus(a)), tf.mul(tf.sigmoid(a), tf.sub(b, a)));
  }
  const toProbs = (x: P): tf.Tensor => x.probs ?? tf.sigmoid(get(x, "logits"));
  const [a, b] = [toProbs(p), toProbs(q)];
  const complement = tf.sub(1, a);
  const cross = tf.add(fromProbs.timesLog(a, b), fromProbs.timesLogComplement(complement, b));
  const own = tf.add(fromProbs.timesLog(a, a), fromProbs.timesLogComplement(complement, a));
  return tf.sub(own, cross);
}

function categoricalKl(p: P, q: P): tf.Tensor {
  const logs = tf.sub(logClassProbs(p), logClassProbs(q));
  return weightedLogs(tf.add(classProbs(p), tf.zerosLike(logs)), logs);
}

function betaKl(p: P, q: P): tf.Tensor {
  const [ap, bp, aq, bq] = [get(p, "a"), get(p, "b"), get(q, "a"), get(q, "b")];
  const [da, db] = [tf.sub(aq, ap), tf.sub(bq, bp)];
  const slopes = tf.add(tf.mul(da, digamma(ap)), tf.mul(db, digamma(bp)));
  const whole = tf.mul(tf.add(da, db), digamma(tf.add(ap, bp)));
  return tf.add(tf.sub(lbeta(aq, bq), lbeta(ap, bp)), tf.sub(whole, slopes));
}

function dirichletKl(p: P, q: P): tf.Tensor {
  const [ap, aq] = [get(p, "concentration"), get(q, "concentration")];
  const slope = tf.sub(digamma(ap), digamma(tf.sum(ap, -1, true)));
  return tf.add(
    tf.sub(logDirichletNormalizer(aq), logDirichletNormalizer(ap)),
    tf.sum(tf.mul(tf.sub(ap, aq), slope), -1),
  );
}

function laplaceKl(p: P, q: P): tf.Tensor {
  const [sp, sq] = [get(p, "scale"), get(q, "scale")];
  const shift = tf.abs(tf.sub(get(p, "loc"), get(q, "loc")));
  const near = tf.mul(tf.div(sp, sq), tf.exp(tf.neg(tf.div(shift, sp))));
  return tf.sub(tf.add(tf.log(tf.div(sq, sp)), tf.add(tf.div(shift, sq), near)), 1);
}

function uniformKl(p: P, q: P): tf.Tensor {
  const [lp, hp, lq, hq] = [get(p, "low"), get(p, "high"), get(q, "low"), get(q, "high")];
  const ratio = tf.log(tf.div(tf.sub(hq, lq), tf.sub(hp, lp)));
  const nested = tf.logicalAnd(tf.lessEqual(lq, lp), tf.lessEqual(hp, hq));
  return tf.where(nested, ratio, tf.fill(ratio.shape, Number.POSITIVE_INFINITY));
}

const exponentialKl = (p: P, q: P): tf.Tensor => tf.neg(logRatioGap(get(q, "rate"), get(p, "rate")));

function geometricKl(p: P, q: P): tf.Tensor {
  const success = p.probs ?? tf.sigmoid(get(p, "logits"));
  return tf.div(bernoulliKl(p, q), success);
}

const TABLE: KlTable = {
  "normal|normal": scalar(normalKl),
  "logNormal|logNormal": scalar(normalKl),
  "halfNormal|halfNormal": scalar((p, q) => scaleTerm(get(p, "scale"), get(q, "scale"))),
  "multivariateNormal|multivariateNormal": scalar(multivariateNormalKl, 1),
  "gamma|gamma": scalar((p, q) =>
    gammaKl(get(p, "concentration"), get(p, "rate"), get(q, "concentration"), get(q, "rate")),
  ),
  // The divergence does not change under x → 1/x.
  "inverseGamma|inverseGamma": scalar((p, q) =>
    gammaKl(get(p, "concentration"), get(p, "scale"), get(q, "concentration"), get(q, "scale")),
  ),
  "exponential|exponential": scalar(exponentialKl),
  "exponential|gamma": scalar((p, q) =>
    gammaKl(one(get(p, "rate")), get(p, "rate"), get(q, "concentration"), get(q, "rate")),
  ),
  "gamma|exponential": scalar((p, q) =>
    gammaKl(get(p, "concentration"), get(p, "rate"), one(get(q, "rate")), get(q, "rate")),
  ),
  "beta|beta": scalar(betaKl),
  "dirichlet|dirichlet": scalar(dirichletKl, 1),
  "laplace|laplace": scalar(laplaceKl),
  "uniform|uniform": scalar(uniformKl),
  "bernoulli|bernoulli": scalar(bernoulliKl),
  "geometric|geometric": scalar(geometricKl),
  "categorical|categorical": scalar(categoricalKl),
  "oneHotCategorical|oneHotCategorical": scalar(categoricalKl, 1),
  "poisson|poisson": scalar((p, q) => tf.neg(tf.mul(get(p, "rate"), logRatioGap(get(q, "rate"), get(p, "rate"))))),
};

/** Entry of the table for a pair, or `undefined`. */
function entryOf(p: Distribution, q: Distribution, table: KlTable | undefined): KlEntry | undefined {
  const pair = `${p.family}|${q.family}`;
  const entry = table?.[pair] ?? TABLE[pair];
  // Equal event shapes: the same number of axes was declared by `event`. A continuous relaxation (Bernoulli on grey values) has no normalised density.
  if (entry === undefined || !sameShape(p.eventShape, q.eventShape)) return undefined;
  return p.discrete === p.support.discrete && q.discrete === q.support.discrete ? entry : undefined;
}

/** Whether KL(p ‖ q) has a closed form here. */
export const hasKl = (p: Distribution, q: Distribution, table?: KlTable): boolean => entryOf(p, q, table) !== undefined;

/** A divergence of closed form. */
export interface ExactKl {
  /** KL(p ‖ q) in nats, of the shape to which both batch shapes broadcast. */
  readonly value: tf.Tensor;
  readonly exact: true;
}

/** A Monte Carlo estimate of a divergence. */
export interface SampledKl {
  /** Unbiased, of the shape to which both batch shapes broadcast; it can be negative. */
  readonly value: tf.Tensor;
  readonly exact: false;
  readonly standardError: tf.Tensor;
  readonly draws: number;
}

/** How to go on where there is no closed form. */
export interface KlOptions {
  readonly key: Key;
  /** Draws from p. */
  readonly draws: number;
  /** Closed forms of one's own, looked up first. */
  readonly table?: KlTable;
}

/**
 * KL(p ‖ q) = E_p[log p(x) − log q(x)].
 *
 * @remarks Closed between distributions of one family (normal, log-normal, half-normal, multivariate normal in any of its forms,
 * gamma, inverse gamma, exponential, beta, Dirichlet, Laplace, uniform, Bernoulli, geometric, categorical, one-hot, Poisson),
 * between gamma and exponential, and over `event(n)` of these. A categorical or uniform whose support is not within that of q
 * gives +∞. For other pairs pass `{ key, draws }`: the result then says `exact: false` and has a standard error.
 * @throws `unsupported` when there is no closed form and no `{ key, draws }`; `shape` when events differ.
 */
export function kl(p: Distribution, q: Distribution): ExactKl;
export function kl(p: Distribution, q: Distribution, options: KlOptions): ExactKl | SampledKl;
export function kl(p: Distribution, q: Distribution, options?: KlOptions): ExactKl | SampledKl {
  if (!sameShape(p.eventShape, q.eventShape)) {
    fail(
      "shape",
      `kl: the events of ${p.family} and ${q.family} differ in shape, ${showShape(p.eventShape)} and ${showShape(q.eventShape)}; declare the same axes with event(n)`,
    );
  }
  const entry = entryOf(p, q, options?.table);
  const batch = broadcastShapes(p.batchShape, q.batchShape);
  if (entry !== undefined) {
    return { value: tf.tidy(() => closed(entry, p, q, batch)), exact: true };
  }
  if (options === undefined) {
    return fail(
      "unsupported",
      `kl: no closed form between ${p.family} and ${q.family}; pass { key, draws } for a Monte Carlo estimate`,
    );
  }
  return sampled(p, q, options, batch);
}

function closed(entry: KlEntry, p: Distribution, q: Distribution, batch: Shape): tf.Tensor {
  const declared = p.eventShape.slice(0, p.eventShape.length - entry.eventRank);
  const each = broadcastTo(entry.kl(p, q), [...batch, ...declared]);
  return declared.length === 0
    ? each
    : tf.sum(
        each,
        declared.map((_, i) => batch.length + i),
      );
}

function sampled(p: Distribution, q: Distribution, { key, draws }: KlOptions, batch: Shape): SampledKl {
  checkWhole("kl", "draws", draws, 2);
  const [value, standardError] = tf.tidy(() => {
    const x = p.expand(batch).sample(key, [draws]);
    const difference = tf.sub(p.logProb(x), q.logProb(x));
    const average = mean(difference, 0);
    const variance = tf.div(mean(tf.square(tf.sub(difference, average)), 0), draws - 1);
    return [average, tf.sqrt(variance)] as [tf.Tensor, tf.Tensor];
  });
  return { value, exact: false, standardError, draws };
}
