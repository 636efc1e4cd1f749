/** A distribution pushed through a bijection: y = f(x), x ~ base. */
import * as tf from "@tensorflow/tfjs-core";
import { toTensor } from "../core/array.ts";
import { fail } from "../core/errors.ts";
import { scope } from "../core/scope.ts";
import { broadcastShapes } from "../core/shape.ts";
import { compose, detachBijection, sumLast } from "./bijections.ts";
import { completeDistribution } from "./complete.ts";
import type { Bijection, Constraint } from "./constraint.ts";
import { within } from "./continuous.ts";
import type { Distribution } from "./distribution.ts";

/** The image of the base's support: values `y` of so many event axes whose inverse lies inside. */
const imageOf = (base: Constraint, bijection: Bijection, eventRank: number): Constraint => ({
  name: `${bijection.name} of ${base.name}`,
  eventRank,
  discrete: false,
  check(y) {
    // A value outside the range has no inverse, or one that is not finite: NaN lies in no base.
    const x = bijection.inverse(y);
    return tf.cast(base.check(tf.where(tf.isFinite(x), x, tf.fill(x.shape, Number.NaN))), "bool");
  },
  example: (shape) => bijection.forward(base.example(bijection.unconstrainedShape(shape))),
  bijection: () => compose(bijection, base.bijection()),
});

/**
 * The distribution of f(x) for x ~ base: log p(y) = log p_base(f⁻¹(y)) − log |det ∂f/∂x|.
 *
 * @throws `unsupported` for a discrete base; `shape` when the bijection needs more event axes than the base declares.
 */
export function transformed(base: Distribution, bijection: Bijection): Distribution {
  if (base.discrete)
    fail("unsupported", `transformed: ${base.family} is discrete, and a bijection would not change its masses`);
  if (bijection.eventRank > base.eventShape.length) {
    fail(
      "shape",
      `transformed: ${bijection.name} acts on ${bijection.eventRank} event axes; declare them with event(n)`,
    );
  }
  const no = (what: string) => () => fail("unsupported", `transformed: its ${what} has no closed form`);
  const rank = base.eventShape.length;
  const eventShape = scope(() => [...bijection.forward(base.support.example(base.eventShape)).shape]);
  const support = imageOf(base.support, bijection, eventShape.length);
  return completeDistribution({
    family: `transformed(${base.family})`,
    batchShape: base.batchShape,
    eventShape,
    support,
    discrete: false,
    reparameterized: base.reparameterized,
    params: base.params,
    logProb: (value) =>
      tf.tidy(() => {
        const y = toTensor(value);
        const full = broadcastShapes(y.shape, [...base.batchShape, ...eventShape]);
        const inside = support.check(y);
        const overEvent = tf.reshape(inside, [...inside.shape, ...eventShape.map(() => 1)]);
        const safe = tf.where(overEvent, y, support.example(full));
        const x = bijection.inverse(safe);
        const logProb = tf.sub(base.logProb(x), sumLast(bijection.logAbsDet(x, safe), rank - bijection.eventRank));
        return within(tf.broadcastTo(inside, logProb.shape), logProb);
      }),
    sample: (key, shape, first) => tf.tidy(() => bijection.forward(base.sample(key, shape, first))),
    mean: no("mean"),
    variance: no("variance"),
    entropy: no("entropy"),
    expand: (larger) => transformed(base.expand(larger), bijection),
    detach: () => transformed(base.detach(), detachBijection(bijection)),
  });
}
