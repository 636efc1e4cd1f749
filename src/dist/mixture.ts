/** Mixtures of several distributions. */
import * as tf from "@tensorflow/tfjs-core";
import { type ArrayLike, toTensor } from "../core/array.ts";
import { fail } from "../core/errors.ts";
import { fold } from "../core/key.ts";
import { broadcastShapes, type Shape, sameShape, showShape } from "../core/shape.ts";
import { hostArray } from "../core/tracing.ts";
import { logSumExp } from "../engine/ops.ts";
import { broadcastTo } from "../engine/smooth.ts";
import { classProbs, logClassProbs } from "./categorical.ts";
import type { Constraint } from "./constraint.ts";
import type { Distribution } from "./distribution.ts";
import { completeDistribution } from "./family.ts";
import { choices, mixingOf, moments, prefixed, unsupported } from "./mixing.ts";

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

function several(mixing: Distribution, components: readonly Distribution[]): Distribution {
  const [base] = components;
  if (base === undefined) return fail("argument", "mixture: give at least one component");
  const k = components.length;
  const classes = (mixing.params.logits ?? mixing.params.probs)?.shape.at(-1);
  if (classes !== k) fail("shape", `mixture: ${classes} weights for ${k} components`);
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
  const batchShape = broadcastShapes(mixing.batchShape, ...components.map((c) => c.batchShape));
  const { eventShape } = base;
  const axis = batchShape.length;
  const stacked = (f: (c: Distribution) => tf.Tensor, extra: Shape) =>
    tf.stack(
      components.map((c) => broadcastTo(f(c), [...batchShape, ...extra])),
      axis,
    );
  const weightsOverEvent = () =>
    tf.reshape(tf.broadcastTo(classProbs(mixing.params), [...batchShape, k]), [
      ...batchShape,
      k,
      ...eventShape.map(() => 1),
    ]);
  return completeDistribution({
    family: "mixture",
    batchShape,
    eventShape,
    support: union(components),
    discrete: base.discrete,
    reparameterized: false,
    params: components.reduce<{ [name: string]: tf.Tensor }>(
      (all, c, i) => Object.assign(all, prefixed(c.params, `components.${i}.`)),
      prefixed(mixing.params, "mixing."),
    ),
    logProb: (value) =>
      tf.tidy(() => {
        const x = toTensor(value);
        const logWeights = logClassProbs(mixing.params);
        const each = components.map((c) => c.logProb(x));
        const full = broadcastShapes(batchShape, ...each.map((l) => l.shape));
        const logs = tf.stack(
          each.map((l) => broadcastTo(l, full)),
          full.length,
        );
        return logSumExp(tf.add(logs, logWeights), -1);
      }),
    sample(key, shape = [], first = 0) {
      const full = [...shape, ...batchShape];
      const chosen = hostArray(choices(mixing, key, full, batchShape, k, first));
      return tf.tidy(() => {
        const rank = eventShape.length;
        const which = tf.tensor(chosen, [...full, ...Array<number>(rank).fill(1)], "int32");
        const draws = components.map((c, i) => c.expand(batchShape).sample(fold(fold(key, "value"), i), shape, first));
        return draws.reduce((kept, draw, i) => tf.where(tf.equal(which, i), draw, kept));
      });
    },
    mean: () =>
      tf.tidy(
        () =>
          moments(
            weightsOverEvent(),
            stacked((c) => c.mean(), eventShape),
            axis,
          ).mean,
      ),
    variance: () =>
      tf.tidy(() =>
        moments(
          weightsOverEvent(),
          stacked((c) => c.mean(), eventShape),
          axis,
        ).variance(stacked((c) => c.variance(), eventShape)),
      ),
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
