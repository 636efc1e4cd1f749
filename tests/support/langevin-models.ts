/** Models whose chains of Langevin dynamics are compared, made one way and another. */
import * as tf from "@tensorflow/tfjs-core";
import { factor, model, ndarray, observe, sample } from "tilted";
import { gamma, normal } from "tilted/dist";

/** Two sites, one of them constrained, with data. */
export const scales = model(function* () {
  const mu = yield* sample("mu", normal(tf.tensor1d([0, 1]), 1).event(1));
  const s = yield* sample("s", gamma(3, 2));
  yield* observe("y", normal(tf.sum(mu, -1), s), ndarray(Float32Array.of(0.7), []));
});

/** Curved, so that a wrong gradient or density leads elsewhere. */
export const banana = model(function* () {
  const x = yield* sample("x", normal(0, 1));
  yield* sample("y", normal(tf.square(x), 0.7));
});

/** A normal with nothing below 0. */
export const edge = model(function* () {
  const x = yield* sample("x", normal(1, 1));
  yield* factor("edge", tf.where(tf.greater(x, 0), tf.zerosLike(x), tf.fill(x.shape, Number.NEGATIVE_INFINITY)));
});
