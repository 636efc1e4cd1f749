/** Mixtures of several distributions. */
import * as tf from "@tensorflow/tfjs-core";
import { type ArrayLike, toTensor } from "../core/array.ts";
import { fail } from "../core/errors.ts";
import { fold } from "../core/key.ts";
import { broadcastShapes, type Shape, sameShape, showShape } from "../core/shape.ts";
import { hostArray } from "../core/tracing.ts";
import { logSumExp } from "../engine/ops.ts";
import { broadcastTo } from "../engine/smooth.ts";
import { classesOf, logClassProbs } from "./categorical.ts";
import { completeDistribution } from "./complete.ts";
import type { Constraint } from "./constraint.ts";
import type { Distribution } from "./distribution.ts";
import { choices, mixingOf, moments, prefixed, unsupported, weightsOver } from "./mixing.ts";

/** The set in which every component lives, or their union. */
function union(components: readonly Distribution[]): Constraint {
  const supports = components.map((c) => c.support);
  const [base] = supports as [Constraint, ...Constraint[]];
  if (supports.every((s) => s.name === base.name)) return base;
  const name = `one of: ${[...new Set(supports.map((s) => s.name))].join("; ")}`;
  return {
    ...base,
    name,
    discrete: supports.every((s) => s.discrete),
    check: (value) => supports.map((s) => tf.cast(s.check(value), "bool")).reduce((a, b) => tf.logicalOr(a, b)),
    bijection: () =>
      fail("unsupported", `mixture: its components live on different sets (${name}); there is no one bijection`),
  };
}

/**
 * The mixture Σᵢ wᵢ pᵢ(x) of several distributions of one event shape; their batch shapes broadcast.
 *
 * @remarks Draws are not differentiable. Every component is drawn and one is kept.
 * @param weights - On the simplex, `[components]` or `[...batch, components]`, or a categorical distribution.
 * @throws `shape` when events differ or weights do not fit; `argument` when continuous and discrete are mixed.
 */
export function mixture(weights: Distribution | ArrayLike, components: readonly Distribution[]): Distribution {
  return several(mixingOf(weights), components);
}

/** The first component; refuses components that have no common density, or another number of weights. */
function checkComponents(mixing: Distribution, components: readonly Distribution[]): Distribution {
  const [base] = components;
  if (base === undefined) return fail("argument", "mixture: give at least one component");
  const classes = classesOf(mixing.params);
  if (classes !== components.length) fail("shape", `mixture: ${classes} weights for ${components.length} components`);
  const odd = components.find((c) => !sameShape(c.eventShape, base.eventShape));
  if (odd !== undefined) {
    fail(
      "shape",
      `mixture: components must share one event shape, found ${showShape(base.eventShape)} (${base.family}) and ${showShape(odd.eventShape)} (${odd.family})`,
    );
  }
  if (components.some((c) => c.discrete !== base.discrete)) {
    fail("argument", "mixture: continuous and discrete components have no common density");
  }
  return base;
}

/** One tensor of each component, broadcast to `[...shape]` and stacked on `axis`. */
const stacked = (each: readonly tf.Tensor[], shape: Shape, axis: number): tf.Tensor =>
  tf.stack(
    each.map((x) => broadcastTo(x, shape)),
    axis,
  );

/** log Σᵢ wᵢ pᵢ(x), `[...draws, ...batch]`. */
function sumOfDensities(
  mixing: Distribution,
  components: readonly Distribution[],
  batchShape: Shape,
  x: tf.Tensor,
): tf.Tensor {
  const logWeights = logClassProbs(mixing.params);
  const each = components.map((c) => c.logProb(x));
  const full = broadcastShapes(batchShape, ...each.map((l) => l.shape));
  return logSumExp(tf.add(stacked(each, full, full.length), logWeights), -1);
}

function several(mixing: Distribution, components: readonly Distribution[]): Distribution {
  const { eventShape, discrete } = checkComponents(mixing, components);
  const k = components.length;
  const batchShape = broadcastShapes(mixing.batchShape, ...components.map((c) => c.batchShape));
  const axis = batchShape.length;
  const overEvent = (of: (c: Distribution) => tf.Tensor) =>
    stacked(components.map(of), [...batchShape, ...eventShape], axis);
  const ofMixture = () =>
    moments(
      weightsOver(mixing, batchShape, k, eventShape),
      overEvent((c) => c.mean()),
      axis,
    );
  return completeDistribution({
    family: "mixture",
    batchShape,
    eventShape,
    support: union(components),
    discrete,
    reparameterized: false,
    params: components.reduce<{ [name: string]: tf.Tensor }>(
      (all, c, i) => Object.assign(all, prefixed(c.params, `components.${i}.`)),
      prefixed(mixing.params, "mixing."),
    ),
    logProb: (value) => tf.tidy(() => sumOfDensities(mixing, components, batchShape, toTensor(value))),
    sample(key, shape = [], first = 0) {
      const full = [...shape, ...batchShape];
      const chosen = hostArray(choices(mixing, key, full, batchShape, k, first));
      return tf.tidy(() => {
        const which = tf.tensor(chosen, [...full, ...eventShape.map(() => 1)], "int32");
        const draws = components.map((c, i) => c.expand(batchShape).sample(fold(fold(key, "value"), i), shape, first));
        return draws.reduce((kept, draw, i) => tf.where(tf.equal(which, i), draw, kept));
      });
    },
    mean: () => tf.tidy(() => ofMixture().mean),
    variance: () => tf.tidy(() => ofMixture().variance(overEvent((c) => c.variance()))),
    entropy: unsupported("entropy"),
    expand: (larger) =>
      several(
        mixing,
        components.map((c) => c.expand(larger)),
      ),
    detach: () =>
      several(
        mixing.detach(),
        components.map((c) => c.detach()),
      ),
  });
}
