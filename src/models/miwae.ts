/**
 * Deep latent-variable models of incomplete data. MIWAE is a VAE observed through a mask; not-MIWAE also observes the mask, which depends
 * on the entries that it hides.
 */
import * as tf from "@tensorflow/tfjs-core";
import type { NdArray } from "../core/array.ts";
import { fail } from "../core/errors.ts";
import { showShape } from "../core/shape.ts";
import { normal } from "../dist/index.ts";
import {
  type DeterministicEffect,
  deterministic,
  type Model,
  model,
  type ObserveEffect,
  observe,
  type ParamEffect,
  type Program,
  type SampleEffect,
  sample,
} from "../effects/effects.ts";
import { plate } from "../effects/plate.ts";
import { type Activation, glorotUniform, mlp, tanh } from "../nn/layers.ts";
import { dataPlate, encoderHead, type InDataPlate, standardNormal } from "./gaussian-latent.ts";
import { type Entries, gaussian, type Likelihood } from "./likelihoods.ts";
import { type MaskModel, selfMasking } from "./mask-models.ts";
import { filled, type PartialEncoding, zeroFilled } from "./partial-encoders.ts";

/** Sizes and parts of a {@link miwae}. */
export interface MiwaeOptions {
  readonly features: number;
  /** Dimensions of the latent. */
  readonly latent: number;
  /** Hidden widths of the encoder, and of the decoder in reverse. */
  readonly hidden: readonly number[];
  /** Hidden widths of the decoder, if others; `[]` makes it linear: with one Gaussian scale for all, probabilistic PCA. */
  readonly decoderHidden?: readonly number[];
  /** Default {@link gaussian}. */
  readonly likelihood?: Likelihood;
  /** Default {@link zeroFilled}. */
  readonly encoding?: PartialEncoding;
  /** Default {@link tanh}. */
  readonly activation?: Activation;
  /** Rows of a minibatch. Default: all. */
  readonly batch?: number;
}

/** Data `[n, features]`, whatever stands in missing places, and mask, 1 where observed. */
export type Incomplete = [x: NdArray, mask: NdArray];

/** Model and guide of a MIWAE. */
export interface Miwae {
  /**
   * z ~ N(0, I), x_j ~ likelihood(z), observed where the mask is 1. The deterministic site `imputed` is x where it was observed and
   * E[x|z] elsewhere: its posterior mean is the single imputation.
   */
  readonly model: Model<
    Incomplete,
    InDataPlate<SampleEffect<"z"> | ObserveEffect<"x"> | DeterministicEffect<"imputed">>,
    void
  >;
  /** q(z | observed entries), diagonal Gaussian. */
  readonly guide: Model<Incomplete, InDataPlate<SampleEffect<"z">>, void>;
  /**
   * The model again, with all entries drawn at the latent site `drawn`. The deterministic site `complete` is x where it was observed
   * and the draw elsewhere: its equally weighted draws (`resamples`) are multiple imputations. `drawn` comes from the prior, so that it
   * cancels in the weights and {@link guide} is the proposal here too. `tilt("complete", energy)` corrects what is imputed.
   */
  readonly imputer: Model<
    Incomplete,
    InDataPlate<
      SampleEffect<"z"> | SampleEffect<"drawn"> | ObserveEffect<"x"> | DeterministicEffect<"imputed" | "complete">
    >,
    void
  >;
  /** z ~ N(0, I), x ~ likelihood(z): complete data, as the base of a tilt. */
  readonly generator: Model<[], SampleEffect<"z"> | SampleEffect<"x"> | ParamEffect, tf.Tensor>;
}

/** Model and guide of a not-MIWAE. */
export interface NotMiwae {
  /**
   * As {@link Miwae}, with the missing entries drawn, x_m ~ p(x_m|z), and the mask observed: s ~ p(s | x_o, x_m). The latent site `noise`
   * generates them: for a Gaussian likelihood ε ~ N(0, I), x_m = μ(z) + σ(z)·ε; for another the entries themselves, drawn by the
   * same decoder in the guide. Either way it cancels: the weight is p(x_o|z) p(s|x_o, x_m) p(z)/q(z|x_o). `imputed` holds the drawn
   * entries, so that its posterior mean is E[x_m | x_o, s] and its equally weighted draws are multiple imputations. `maskProbs` is
   * P(s = 1 | x), see {@link maskAccuracy}.
   */
  readonly model: Model<
    Incomplete,
    InDataPlate<
      | SampleEffect<"z">
      | SampleEffect<"noise">
      | ObserveEffect<"x">
      | ObserveEffect<"mask">
      | DeterministicEffect<"imputed">
      | DeterministicEffect<"maskProbs">
    >,
    void
  >;
  readonly guide: Model<Incomplete, InDataPlate<SampleEffect<"z"> | SampleEffect<"noise">>, void>;
}

/** The missing entries: drawn everywhere, scored where the mask is 0. */
const missingEntries = ({ dist }: Entries, isObserved: tf.Tensor) => dist.maskEntries(tf.sub(1, isObserved)).event(1);

/** What both models share: rows, decoder and encoder. */
function networks(what: string, options: MiwaeOptions) {
  const { features, latent, hidden, activation = tanh, batch } = options;
  const { decoderHidden = [...hidden].reverse(), likelihood = gaussian(), encoding = zeroFilled() } = options;
  const layers = { activation, weightInit: glorotUniform, output: activation };
  const through = (name: string, widths: readonly number[]) =>
    widths.length < 2 ? undefined : mlp(name, widths, layers);
  const summary = encoding(features);
  const trunk = through("encoder", [summary.width, ...hidden]);
  const width = hidden[hidden.length - 1] ?? summary.width;
  const head = encoderHead(width, latent, glorotUniform);
  const decoder = through("decoder", [latent, ...decoderHidden]);
  const heads = likelihood(decoderHidden[decoderHidden.length - 1] ?? latent, features);
  return {
    rows: (data: NdArray, mask: NdArray) => dataPlate(what, { data, mask }, features, batch),
    *decode(z: tf.Tensor): Program<ParamEffect, Entries> {
      return yield* heads(decoder === undefined ? z : yield* decoder(z));
    },
    *sampleLatent(x: tf.Tensor, mask: tf.Tensor) {
      const h = yield* summary.program(x, mask);
      const { loc, scale } = yield* head(trunk === undefined ? h : yield* trunk(h));
      return yield* sample("z", normal(loc, scale).event(1));
    },
  };
}

/**
 * MIWAE (Mattei & Frellsen 2019): fitted by `iwae` it maximizes a bound of Σ log p(x_observed), which is right for data missing (completely)
 * at random.
 *
 * @example
 * const net = miwae({ features: 11, latent: 10, hidden: [128, 128], batch: 16 });
 * const fit = await infer(net.model, iwae(net.guide, 20, { optimizer: adam(1e-3), epochs: 100 }), { args: [x, mask], seed: 1 });
 * const filled = await infer(net.model, snis(1000, { proposal: net.guide, rows: "each", keep: false }), {
 *   args: [x, mask], params: fit.params, seed: 2,
 * });
 * filled.mean("imputed").value;   // with its standardError
 * const many = await infer(net.imputer, snis(1000, { proposal: net.guide, rows: "each", keep: false, resamples: 20 }), {
 *   args: [x, mask], params: fit.params, seed: 3,
 * });
 * many.resamples.complete;        // twenty tables without gaps
 */
export function miwae(options: MiwaeOptions): Miwae {
  const { rows, decode, sampleLatent } = networks("miwae", options);
  function* observed(values: tf.Tensor, isObserved: tf.Tensor) {
    const z = yield* sample("z", standardNormal(options.latent));
    const { dist, mean } = yield* decode(z);
    yield* observe("x", dist.event(1), values, { mask: isObserved });
    yield* deterministic("imputed", imputed(values, isObserved, mean));
    return dist;
  }
  return {
    model: model(function* (x: NdArray, mask: NdArray) {
      yield* plate("data", ...rows(x, mask), function* ({ gather }) {
        yield* observed(gather(x), gather(mask));
      });
    }),
    imputer: model(function* (x: NdArray, mask: NdArray) {
      yield* plate("data", ...rows(x, mask), function* ({ gather }) {
        const [values, isObserved] = [gather(x), gather(mask)];
        const drawn = yield* sample("drawn", (yield* observed(values, isObserved)).event(1));
        yield* deterministic("complete", imputed(values, isObserved, drawn));
      });
    }),
    generator: model(function* () {
      const z = yield* sample("z", standardNormal(options.latent));
      return yield* sample("x", (yield* decode(z)).dist.event(1));
    }),
    guide: model(function* (x: NdArray, mask: NdArray) {
      yield* plate("data", ...rows(x, mask), function* ({ gather }) {
        yield* sampleLatent(gather(x), gather(mask));
      });
    }),
  };
}

/** Observed entries as they are, others from a tensor that may have particles in front. */
function imputed(x: tf.Tensor, mask: tf.Tensor, others: tf.Tensor): tf.Tensor {
  const isObserved = tf.broadcastTo(tf.cast(mask, "bool"), others.shape);
  return tf.where(isObserved, tf.broadcastTo(filled(x, mask, 0), others.shape), others);
}

/**
 * not-MIWAE (Ipsen, Mattei & Frellsen 2021): fitted by `iwae` it maximizes a bound of Σ log p(x_observed, mask), for entries whose absence
 * says something about them.
 *
 * @param maskModel - p(s | x). Default {@link selfMasking}: large values go missing.
 * @remarks Entries of a Bernoulli likelihood are drawn with score-function gradients, which are noisier; those of Student's t with learnt gamma
 * draws, whose steps are not compiled.
 * @throws `unsupported` for a likelihood of `mixedTable`.
 */
export function notMiwae(options: MiwaeOptions, maskModel: MaskModel = selfMasking()): NotMiwae {
  const { features, latent, likelihood = gaussian() } = options;
  const { rows, decode, sampleLatent } = networks("notMiwae", options);
  const maskOf = maskModel(features);
  return {
    model: model(function* (x: NdArray, mask: NdArray) {
      yield* plate("data", ...rows(x, mask), function* ({ gather }) {
        const [values, isObserved] = [gather(x), gather(mask)];
        const z = yield* sample("z", standardNormal(latent));
        const entries = yield* decode(z);
        const { dist, mean, scale } = entries;
        if (dist.family === "table")
          return fail(
            "unsupported",
            "notMiwae: a class of a table is observed or missing as a whole, and a mask of its features would count it more than once",
          );
        const noise = yield* sample(
          "noise",
          scale === undefined ? missingEntries(entries, isObserved) : standardNormal(features),
        );
        yield* observe("x", dist.event(1), values, { mask: isObserved });
        const complete = imputed(values, isObserved, scale === undefined ? noise : tf.add(mean, tf.mul(scale, noise)));
        const maskDist = yield* maskOf(complete);
        yield* observe("mask", maskDist.event(1), isObserved);
        yield* deterministic("imputed", complete);
        yield* deterministic("maskProbs", maskDist.mean());
      });
    }),
    guide: model(function* (x: NdArray, mask: NdArray) {
      yield* plate("data", ...rows(x, mask), function* ({ gather }) {
        const isObserved = gather(mask);
        const z = yield* sampleLatent(gather(x), isObserved);
        // For a location-scale likelihood the decoder need not run here.
        const missing = likelihood.locationScale
          ? standardNormal(features)
          : missingEntries(yield* decode(z), isObserved);
        yield* sample("noise", missing);
      });
    }),
  };
}

/** Share of entries whose mask is the likelier one under `maskProbs`, the posterior means of P(s = 1 | x) of a {@link notMiwae}. */
export function maskAccuracy(maskProbs: NdArray, mask: NdArray): number {
  if (`${maskProbs.shape}` !== `${mask.shape}`)
    fail("shape", `maskAccuracy: ${showShape(maskProbs.shape)} and mask ${showShape(mask.shape)} differ in shape`);
  let right = 0;
  mask.data.forEach((s: number, at: number) => {
    if ((s === 1) === (maskProbs.data[at] as number) > 0.5) right++;
  });
  return right / mask.data.length;
}
