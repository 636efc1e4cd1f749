/**
 * Non-centred parameterisation: a site x ~ p(x|z) becomes x(z, ε) with ε of a fixed distribution. Chains over (z, ε) follow the
 * ridges of p(x); chains over x would have to cross between them.
 */
import * as tf from "@tensorflow/tfjs-core";
import { fail } from "../core/errors.ts";
import type { Distribution } from "../dist/distribution.ts";
import { gamma, normal } from "../dist/index.ts";
import { stopGradient } from "../engine/ops.ts";
import { logNdtr } from "../engine/special.ts";
import type { DeterministicEffect, Effect, Model, ObserveEffect, Program, SampleEffect } from "./effects.ts";
import { siteHandler } from "./handle.ts";
import type { KnownSites, LatentsOf, ObservedOf } from "./sites.ts";

type Without<E extends Effect, N extends string> = E extends SampleEffect<infer M> | ObserveEffect<infer M>
  ? M extends N
    ? never
    : E
  : E;

/** Effects of a model one of whose sites became a function of noise. */
export type InNoise<E extends Effect, N extends string> =
  | Without<E, N>
  | SampleEffect<`${N}/noise`>
  | SampleEffect<`${N}/precision`>
  | DeterministicEffect<N>;

/** Options of {@link inNoise}. */
export interface InNoiseOptions {
  /**
   * What a Bernoulli site becomes.
   *
   * - `binary` (default): x = 1 where Φ(ε) < p: exactly the site's own draws, zeros and ones. x is discontinuous in ε, so the drift follows
   *   the gradient of a relaxation, σ(s(logit p − logit Φ(ε))), while acceptance uses the discontinuous density.
   *   Metropolis is exact whatever the drift, so `langevin` samples e^{−E(x)} p(x)/Z over zeros and ones; with `adjusted: false` it
   *   does not.
   * - `mean`: x = p, no noise: the mean image of a decoder of grey values. It is smooth, and it is another model: the tilt of z by
   *   E(p(z)).
   */
  readonly bernoulli?: "binary" | "mean";
}

/** s: a relaxation about as wide as a logistic of scale one half. */
const SHARPNESS = 2;

type AnyArgs = readonly unknown[];

/**
 * *Same draws, other coordinates*, the non-centred parameterisation: replaces the site `name`, latent or observed (its data are
 * forgotten), by standard noise and a deterministic value, for families that have such a form.
 *
 * - normal: x = μ + σε, ε ~ N(0, 1) at the site `name/noise`;
 * - Student's t: x = μ + σε/√w, w ~ Gamma(ν/2, ν/2) at the site `name/precision`;
 * - Bernoulli: see {@link InNoiseOptions.bernoulli}.
 *
 * @remarks A `tilt` of the site goes inside, before it: its factor is kept. The tilted density of (z, ε) is e^{−E(x(z,ε))} p(z) N(ε), and x
 * then follows e^{−E(x)} p(x)/Z, whatever the decoder.
 * @example
 * const noisy = pipe(net.base, tilt("x", energy), inNoise("x"));
 * const chains = await infer(noisy, langevin({ chains: 64, steps: 2000, stepSize: 1e-3 }), { params, seed: 1 });
 * @throws `missing-site` when the model has no such site; `unsupported` for other families; `argument` when the site's value is fixed.
 */
export function inNoise<const N extends string>(name: N, options: InNoiseOptions = {}) {
  const isSite = (effect: Effect): effect is SampleEffect | ObserveEffect =>
    (effect.kind === "sample" || effect.kind === "observe") && effect.name === name;
  const handle = siteHandler("inNoise", name, isSite, function* (effect) {
    if (effect.kind === "sample" && effect.value !== undefined)
      fail("argument", `inNoise: "${name}" has a fixed value, which has no noise to be a function of`, { site: name });
    const { plates, scale, mask, key, dist } = effect;
    const context = { ...(plates && { plates }), ...(key && { key }) };
    const counted = { ...context, ...(scale !== undefined && { scale }), ...(mask !== undefined && { mask }) };
    const standard = function* (part: string, noiseDist: Distribution): Program<Effect, tf.Tensor> {
      return (yield { kind: "sample", name: `${name}/${part}`, dist: noiseDist, ...counted }) as tf.Tensor;
    };
    const value = yield* noiseForm(name, dist, standard, options);
    return yield { kind: "deterministic", name, value, eventRank: dist.eventShape.length, ...context };
  });
  return <Args extends AnyArgs, E extends Effect, A>(
    model: Model<Args, E, A> & KnownSites<N, LatentsOf<E> | ObservedOf<E>, "inNoise: the model has no site">,
  ): Model<Args, InNoise<E, N>, A> => handle(model as never) as never;
}

/** Families that have a noise form. */
export const NOISE_FAMILIES: ReadonlySet<string> = new Set(["normal", "studentT", "bernoulli"]);

/** x as a function of the noise. */
function* noiseForm(
  name: string,
  { family, params, eventShape }: Distribution,
  standard: (part: string, dist: Distribution) => Program<Effect, tf.Tensor>,
  { bernoulli = "binary" }: InNoiseOptions,
): Program<Effect, tf.Tensor> {
  const noise = () => standard("noise", normal(tf.zeros([...eventShape]), 1).event(eventShape.length));
  if (family === "normal") return tf.add(params.loc as tf.Tensor, tf.mul(params.scale as tf.Tensor, yield* noise()));
  if (family === "studentT") {
    const half = tf.mul(params.df as tf.Tensor, 0.5);
    const spread = half.rank < eventShape.length ? tf.broadcastTo(half, [...eventShape]) : half;
    const precision = yield* standard("precision", gamma(spread, spread).event(eventShape.length));
    const scaled = tf.div(params.scale as tf.Tensor, tf.sqrt(precision));
    return tf.add(params.loc as tf.Tensor, tf.mul(scaled, yield* noise()));
  }
  if (family === "bernoulli") {
    const { logits, probs } = params;
    if (bernoulli === "mean") return logits === undefined ? (probs as tf.Tensor) : tf.sigmoid(logits);
    const l = logits ?? tf.sub(tf.log(probs as tf.Tensor), tf.log(tf.sub(1, probs as tf.Tensor)));
    const e = yield* noise();
    const margin = tf.sub(l, tf.sub(logNdtr(e), logNdtr(tf.neg(e))));
    const step = stopGradient(tf.cast(tf.greater(stopGradient(margin), 0), "float32"));
    const smooth = tf.sigmoid(tf.mul(SHARPNESS, margin));
    return tf.add(step, tf.sub(smooth, stopGradient(smooth)));
  }
  return fail(
    "unsupported",
    `inNoise: "${name}" is of the family ${family}; normal, studentT and bernoulli have a noise form`,
    {
      site: name,
    },
  );
}
