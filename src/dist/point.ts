/** Distributions that carry no shape of their own: a point mass, and the improper flat measure on a set. */
import * as tf from "@tensorflow/tfjs-core";
import { type ArrayLike, toTensor } from "../core/array.ts";
import { fail } from "../core/errors.ts";
import { broadcastShapes, type Shape } from "../core/shape.ts";
import { sumLast } from "./bijections.ts";
import { checkExpansion, completeDistribution } from "./complete.ts";
import type { Constraint } from "./constraint.ts";
import { real } from "./constraints.ts";
import { within } from "./continuous.ts";
import type { Distribution } from "./distribution.ts";
import { type Family, fromFamily } from "./family.ts";

const deltaFamily: Family<"value"> = {
  family: "delta",
  params: { value: real },
  support: ({ value }) => ({
    ...real,
    name: "the point itself",
    check: (x) => tf.equal(x, value),
    example: (shape) => tf.broadcastTo(value, [...shape]),
  }),
  logProb({ value }, x) {
    const same = tf.equal(x, value);
    // Zeros of the value: a gradient in it is 0, not "no such input".
    return within(same, tf.zerosLike(tf.add(x, value)));
  },
  draw: ({ value }, d) => tf.broadcastTo(value, [...d.shape]),
  mean: ({ value }) => value,
  variance: ({ value }) => tf.zerosLike(value),
  entropy: ({ value }) => tf.zerosLike(value),
};

/**
 * All mass at `value`: log-probability 0 there and −∞ elsewhere (a mass, not a density). Draws are differentiable in `value`.
 */
export const delta = (value: ArrayLike): Distribution => fromFamily(deltaFamily, { value });

/**
 * The flat measure on a set: log-density 0 inside, −∞ outside. It cannot be drawn from; it states "no prior information", and the
 * posterior must be proper by the data.
 *
 * @param shape - Shape of one value, batch included; the constraint's event axes are its last.
 * @throws `unsupported` when drawn from without a value.
 */
export function improper(constraint: Constraint = real, shape: Shape = []): Distribution {
  const cut = shape.length - constraint.eventRank;
  if (cut < 0) fail("shape", `improper: a value ${constraint.name} needs ${constraint.eventRank} axes`);
  const no = (what: string) => () =>
    fail("unsupported", `improper: the flat measure on ${constraint.name} values has no ${what}`);
  const ofBatch = (batchShape: Shape): Distribution =>
    completeDistribution({
      family: "improper",
      batchShape,
      eventShape: shape.slice(cut),
      support: constraint,
      discrete: constraint.discrete,
      reparameterized: false,
      params: {},
      logProb: (value) =>
        tf.tidy(() => {
          const x = toTensor(value);
          const inside = tf.cast(constraint.check(x), "bool");
          // Zeros of the value: a gradient in it is 0, not "no such input".
          const flat = sumLast(tf.zerosLike(tf.cast(x, "float32")), constraint.eventRank);
          const full = broadcastShapes(flat.shape, batchShape);
          return within(tf.broadcastTo(inside, full), tf.broadcastTo(flat, full));
        }),
      sample: no("draws; give initial values"),
      mean: no("mean"),
      variance: no("variance"),
      entropy: no("entropy"),
      expand: (larger) => ofBatch(checkExpansion("improper", batchShape, larger)),
      detach: () => ofBatch(batchShape),
    });
  return ofBatch(shape.slice(0, cut));
}
