/** Bases for a latent tilt, as programs with the one site `z`: the prior, or the aggregated posterior of the data. */
import * as tf from "@tensorflow/tfjs-core";
import { fail } from "../../core/errors.ts";
import { fold, type Key } from "../../core/key.ts";
import { normal as normalDraws } from "../../core/random/draws.ts";
import { showShape } from "../../core/shape.ts";
import { currentArray, hostTensor } from "../../core/tracing.ts";
import { categorical, mixtureSameFamily, normal } from "../../dist/index.ts";
import { type Model, model, type SampleEffect, sample } from "../../effects/effects.ts";
import type { Posteriors } from "../problem/latent-variable.ts";
import type { DrawableRows } from "./fit-tilt-types.ts";

/** A program that draws one latent. */
export type LatentBase = Model<[], SampleEffect<"z">, tf.Tensor>;

/** z ~ N(0, I) in `dimensions` dimensions: the prior of a VAE. */
export const priorBase = (dimensions: number): LatentBase =>
  model(function* () {
    return yield* sample("z", normal(tf.zeros([dimensions]), 1).event(1));
  });

const checkPosteriors = ({ loc, scale }: Posteriors): [n: number, d: number] => {
  const [n, d] = loc.shape;
  if (loc.shape.length !== 2 || `${loc.shape}` !== `${scale.shape}`) {
    fail(
      "shape",
      `posteriors: loc ${showShape(loc.shape)} and scale ${showShape(scale.shape)} must both be [n, latent]`,
    );
  }
  return [n as number, d as number];
};

/**
 * z ~ (1/n) Σ_i q(z|x_i): the aggregated posterior, a mixture of one Gaussian for each datum.
 *
 * @remarks It is where the decoder was trained, so its draws decode better than the prior's, and a tilt of it has less to correct.
 */
export function aggregateBase(posteriors: Posteriors): LatentBase {
  const [n] = checkPosteriors(posteriors);
  return model(function* () {
    const components = normal(posteriors.loc, posteriors.scale).event(1);
    return yield* sample("z", mixtureSameFamily(categorical({ logits: tf.zeros([n]) }), components));
  });
}

/** Data as rows that are drawn afresh: one draw z ~ q(z|x_i) for each row asked. Draws, not means: means are too narrow. */
export function posteriorRows(posteriors: Posteriors): DrawableRows {
  const [count, d] = checkPosteriors(posteriors);
  return {
    count,
    draw(key: Key, rows: Int32Array) {
      return hostTensor(() => {
        const noise = normalDraws(fold(key, "posterior"), rows.length * d);
        currentArray(rows).forEach((row, i) => {
          for (let j = 0; j < d; j++) {
            const at = row * d + j;
            noise[i * d + j] =
              (posteriors.loc.data[at] as number) +
              (posteriors.scale.data[at] as number) * (noise[i * d + j] as number);
          }
        });
        return noise;
      }, [rows.length, d]);
    },
  };
}
