/** A classifier as a program: a model with data and no latent site, so that its ELBO is its likelihood and its guide is empty. */
import { type NdArray, ndarray } from "../core/array.ts";
import type { Tree } from "../core/tree.ts";
import { categorical } from "../dist/index.ts";
import {
  type Model,
  model,
  type ObserveEffect,
  observe,
  type ParamEffect,
  type PlateEffect,
} from "../effects/effects.ts";
import { mapRows } from "../effects/map-rows.ts";
import { plate } from "../effects/plate.ts";
import { type Activation, mlp, type Network, silu } from "../nn/layers.ts";

/** Sizes of a {@link classifier}. */
export interface ClassifierOptions {
  readonly features: number;
  readonly classes: number;
  readonly hidden: readonly number[];
  /** Rows of a minibatch; default: all rows. */
  readonly batch?: number;
  /** Default {@link silu}. */
  readonly activation?: Activation;
  /** Prefix of its parameters. Default `classifier`. */
  readonly name?: string;
}

/** Model and guide of a classifier. */
export interface Classifier {
  /** y ~ Categorical(logits(x)): site `y` in the plate `data`. Takes rows `[n, features]` and labels `[n]`. */
  readonly model: Model<[x: NdArray, y: NdArray], ObserveEffect<"y"> | ParamEffect | PlateEffect<"data">, void>;
  /** Empty: the model has no latent site. */
  readonly guide: Model<[x: NdArray, y: NdArray], never, void>;
  readonly logits: Network;
}

/**
 * A multilayer perceptron with a categorical likelihood.
 *
 * @example
 * const c = classifier({ features: 784, classes: 5, hidden: [256], batch: 128 });
 * const fit = await infer(c.model, elbo(c.guide, { epochs: 10 }), { args: [x, y], seed: 1 });
 * classify(c, fit.params, x);
 */
export function classifier(options: ClassifierOptions): Classifier {
  const { features, classes, hidden, batch, activation = silu, name = "classifier" } = options;
  const logits = mlp(name, [features, ...hidden, classes], { activation });
  return {
    logits,
    model: model(function* (x: NdArray, y: NdArray) {
      const n = x.shape[0] as number;
      const minibatch = batch === undefined ? {} : { subsample: batch };
      yield* plate("data", n, minibatch, function* ({ gather }) {
        yield* observe("y", categorical({ logits: yield* logits(gather(x)) }), gather(y));
      });
    }),
    guide: model(function* (_x: NdArray, _y: NdArray) {}),
  };
}

/** The most probable class of every row of `x` `[n, features]`. */
export function classify({ logits }: Classifier, params: Tree<NdArray>, x: NdArray): Int32Array {
  const scores = mapRows(x, params, logits);
  const k = scores.shape[1] as number;
  return Int32Array.from({ length: scores.shape[0] as number }, (_, i) => {
    const row = scores.data.subarray(i * k, (i + 1) * k);
    return row.indexOf(Math.max(...row));
  });
}

/** Labels as an array for {@link Classifier}. */
export const labels = (y: Int32Array): NdArray => ndarray(y);
