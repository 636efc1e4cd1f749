/** A distribution pushed through a bijection: y = f(x), x ~ base. */
import * as tf from "@tensorflow/tfjs-core";
import { toTensor } from "../core/array.ts";
import { fail } from "../core/errors.ts";
import { sumLast } from "./bijections.ts";
import type { Bijection, Constraint } from "./constraint.ts";
import type { Distribution } from "./distribution.ts";
import { complete } from "./family.ts";

/** The image of the base's support. */
const imageOf = (base: Constraint, bijection: Bijection): Constraint => ({
  name: `${bijection.name} of ${base.name}`,
  eventRank: Math.max(base.eventRank, bijection.eventRank),
  discrete: false,
  check(y) {
    // A value outside the range has no inverse, or one that is not finite.
    const x = bijection.inverse(y);
    const inside = tf.logicalAnd(tf.cast(base.check(x), "bool"), tf.logicalNot(tf.isNaN(lastAxes(x, base.eventRank))));
    const extra = inside.rank - (y.rank - Math.max(base.eventRank, bijection.eventRank));
    return extra <= 0
      ? inside
      : tf.all(
          inside,
          Array.from({ length: extra }, (_, i) => inside.rank - extra + i),
        );
  },
  example: (shape) => bijection.forward(base.example(bijection.unconstrainedShape(shape))),
  bijection: () => ({
    ...bijection,
    eventRank: Math.max(base.eventRank, bijection.eventRank),
    name: `${bijection.name} ∘ ${base.bijection().name}`,
    forward: (u) => bijection.forward(base.bijection().forward(u)),
    inverse: (y) => base.bijection().inverse(bijection.inverse(y)),
    logAbsDet(u, y) {
      const inner = base.bijection();
      const x = inner.forward(u);
      const rank = Math.max(inner.eventRank, bijection.eventRank);
      return tf.add(
        sumLast(inner.logAbsDet(u, x), rank - inner.eventRank),
        sumLast(bijection.logAbsDet(x, y), rank - bijection.eventRank),
      );
    },
    unconstrainedShape: (shape) => base.bijection().unconstrainedShape(bijection.unconstrainedShape(shape)),
  }),
});

/** Sums the event axes away, so that a NaN anywhere in a value is seen. */
const lastAxes = (x: tf.Tensor, n: number): tf.Tensor => sumLast(x, n);

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
  return complete({
    family: `transformed(${base.family})`,
    batchShape: base.batchShape,
    eventShape: tf.tidy(() => bijection.forward(base.support.example(base.eventShape)).shape),
    support: imageOf(base.support, bijection),
    discrete: false,
    reparameterized: base.reparameterized,
    params: base.params,
    logProb: (value) =>
      tf.tidy(() => {
        const y = toTensor(value);
        const x = bijection.inverse(y);
        return tf.sub(base.logProb(x), sumLast(bijection.logAbsDet(x, y), rank - bijection.eventRank));
      }),
    sample: (key, shape, first) => tf.tidy(() => bijection.forward(base.sample(key, shape, first))),
    mean: no("mean"),
    variance: no("variance"),
    entropy: no("entropy"),
    expand: (larger) => transformed(base.expand(larger), bijection),
    detach: () => transformed(base.detach(), bijection),
  });
}
