/** Mixtures: of one family, whose components are the last batch axis, and of several distributions. */
import * as tf from "@tensorflow/tfjs-core";
import { type ArrayLike, toTensor } from "../core/array.ts";
import { fail } from "../core/errors.ts";
import { fold, type Key } from "../core/key.ts";
import { normal as normalDraws } from "../core/random/draws.ts";
import { broadcastShapes, type Shape, sameShape, showShape, sizeOf } from "../core/shape.ts";
import { currentValue, hostArray, hostTensor, type MaybeTraced } from "../core/tracing.ts";
import { logSumExp } from "../engine/ops.ts";
import { broadcastTo } from "../engine/smooth.ts";
import { classProbs, logClassProbs } from "./categorical.ts";
import type { Constraint } from "./constraint.ts";
import { diagonalMixtureLogProb } from "./diagonal-mixture.ts";
import type { Distribution } from "./distribution.ts";
import { completeDistribution } from "./family.ts";
import { choices, logWeightsOf, mixingOf, moments, prefixed, unsupported } from "./mixing.ts";

/** Numbers in one slice of the table of values × components that a log-density or a sampler makes. */
const SLICE = 1 << 21;

/** `[K, d]` parameters when the components are diagonal normals without further batch axes. */
function diagonalNormals(components: Distribution): { loc: tf.Tensor; scale: tf.Tensor } | undefined {
  const { family, params, batchShape, eventShape } = components;
  if (batchShape.length !== 1 || eventShape.length > 1) return undefined;
  const scale = family === "normal" ? params.scale : family === "multivariateNormal" ? params.scaleDiag : undefined;
  if (scale === undefined || params.loc === undefined) return undefined;
  const full = [...batchShape, ...eventShape];
  const shape = eventShape.length === 1 ? full : [...full, 1];
  return {
    loc: tf.reshape(broadcastTo(params.loc, full), shape),
    scale: tf.reshape(broadcastTo(scale, full), shape),
  };
}

/**
 * The mixture Σₖ wₖ p(x; k) of the K components on the last batch axis of `components`.
 *
 * @remarks Thousands of diagonal normals (`normal(loc, scale).event(1)` or `multivariateNormal({ loc, scaleDiag })` with batch
 * `[K]`) have a density of their own whose memory does not grow with the number of values, gradient included. Other components
 * are evaluated in slices; their gradient keeps values × components. Draws are not differentiable.
 * @param mixing - Weights on the simplex, `[K]` or `[...batch, K]`, or a categorical distribution.
 * @throws `shape` when the weights do not fit the components.
 */
export function mixtureSameFamily(mixing: Distribution | ArrayLike, components: Distribution): Distribution {
  return sameFamily(mixingOf(mixing), components);
}

function sameFamily(mixing: Distribution, components: Distribution): Distribution {
  const k = components.batchShape.at(-1);
  const classes = (mixing.params.logits ?? mixing.params.probs)?.shape.at(-1);
  if (k === undefined || classes !== k) {
    fail(
      "shape",
      `mixture: ${classes} weights for components of batch shape ${showShape(components.batchShape)}: its last axis must be the component`,
    );
  }
  const batchShape = broadcastShapes(mixing.batchShape, components.batchShape.slice(0, -1));
  const { eventShape } = components;
  const rank = eventShape.length;
  const axis = batchShape.length;
  const weightsOverEvent = () =>
    tf.reshape(tf.broadcastTo(classProbs(mixing.params), [...batchShape, k as number]), [
      ...batchShape,
      k as number,
      ...eventShape.map(() => 1),
    ]);

  const sliced = (x: tf.Tensor): tf.Tensor => {
    const logWeights = logWeightsOf(mixing, batchShape, k as number);
    const one = (value: tf.Tensor): tf.Tensor =>
      tf.tidy(() => logSumExp(tf.add(components.logProb(tf.expandDims(value, value.rank - rank)), logWeights), -1));
    const lead = x.rank - rank - batchShape.length;
    if (lead <= 0) return one(x);
    const draws = sizeOf(x.shape.slice(0, lead));
    const rest = x.shape.slice(lead);
    const rows = Math.max(
      1,
      Math.floor(SLICE / Math.max(1, sizeOf(broadcastShapes(rest, [...batchShape, ...eventShape])) * (k as number))),
    );
    if (rows >= draws) return one(x);
    const flat = tf.reshape(x, [draws, ...rest]);
    const parts: tf.Tensor[] = [];
    for (let start = 0; start < draws; start += rows) {
      parts.push(one(tf.slice(flat, [start, ...rest.map(() => 0)], [Math.min(rows, draws - start), ...rest])));
    }
    return tf.reshape(tf.concat(parts, 0), [...x.shape.slice(0, lead), ...(parts[0] as tf.Tensor).shape.slice(1)]);
  };

  return completeDistribution({
    family: "mixture",
    batchShape,
    eventShape,
    support: components.support,
    discrete: components.discrete,
    reparameterized: false,
    params: { ...prefixed(mixing.params, "mixing."), ...prefixed(components.params, "components.") },
    logProb: (value) =>
      tf.tidy(() => {
        const x = toTensor(value);
        const normals = batchShape.length === 0 ? diagonalNormals(components) : undefined;
        if (normals === undefined) return sliced(x);
        const points = tf.reshape(tf.cast(x, "float32"), [-1, normals.loc.shape[1] as number]);
        const logWeights = logWeightsOf(mixing, [], k as number);
        const flat = diagonalMixtureLogProb(points, logWeights, normals.loc, normals.scale);
        return tf.reshape(flat, x.shape.slice(0, x.rank - rank));
      }),
    sample(key, shape = [], first = 0) {
      const full = [...shape, ...batchShape];
      const choose = choices(mixing, key, full, batchShape, k as number, first);
      return tf.tidy(() => {
        const normals = batchShape.length === 0 ? diagonalNormals(components) : undefined;
        if (normals === undefined)
          return select(components, fold(key, "value"), shape, first, choose(), k as number, batchShape);
        const d = normals.loc.shape[1] as number;
        const [loc, scale] = [normals.loc.dataSync(), normals.scale.dataSync()];
        const draw = () => {
          const chosen = choose();
          const noise = normalDraws(
            fold(key, "value"),
            chosen.length * d,
            currentValue(first) * sizeOf(full.slice(1)) * d,
          );
          return noise.map((z, i) => {
            const at = (chosen[Math.floor(i / d)] as number) * d + (i % d);
            return (loc[at] as number) + (scale[at] as number) * z;
          });
        };
        return hostTensor(draw, [...full, ...eventShape]);
      });
    },
    mean: () => tf.tidy(() => moments(weightsOverEvent(), components.mean(), axis).mean),
    variance: () => tf.tidy(() => moments(weightsOverEvent(), components.mean(), axis).variance(components.variance())),
    entropy: unsupported("entropy"),
    expand: (larger) =>
      batchShape.length === 0
        ? repeated(sameFamily(mixing, components), larger)
        : sameFamily(mixing, components.expand([...larger, k as number])),
    detach: () => sameFamily(mixing.detach(), components.detach()),
  });
}

/** One mixture over a larger batch: its entries are draws of the same few components, which are not repeated. */
function repeated(base: Distribution, batchShape: Shape): Distribution {
  const over = (x: tf.Tensor, extra: Shape = []) => broadcastTo(x, [...batchShape, ...extra]);
  return completeDistribution({
    ...base,
    batchShape,
    logProb: (value) =>
      tf.tidy(() => {
        const logProb = base.logProb(value);
        return broadcastTo(logProb, broadcastShapes(logProb.shape, batchShape));
      }),
    sample: (key, shape = [], first = 0) => base.sample(key, [...shape, ...batchShape], first),
    mean: () => tf.tidy(() => over(base.mean(), base.eventShape)),
    variance: () => tf.tidy(() => over(base.variance(), base.eventShape)),
    expand: (larger) => repeated(base, larger),
    detach: () => repeated(base.detach(), batchShape),
  });
}

/** Draws of every component, of which the chosen ones are kept: a slice of draws at a time. */
function select(
  components: Distribution,
  key: Key,
  shape: Shape,
  first: MaybeTraced,
  chosen: Int32Array,
  k: number,
  batch: Shape,
): tf.Tensor {
  const event = components.eventShape;
  const [width, per] = [sizeOf(event), sizeOf(batch)];
  const whole = components.expand([...batch, k]);
  const [draws, inner] = [shape[0] ?? 1, sizeOf(shape.slice(1))];
  const rows = Math.max(1, Math.floor(SLICE / (inner * per * k * width)));
  let out: Float32Array | Int32Array | undefined;
  let dtype = "float32" as "float32" | "int32";
  for (let start = 0; start < draws; start += rows) {
    const size = Math.min(rows, draws - start);
    const cut = shape.length === 0 ? [] : [size, ...shape.slice(1)];
    const sample = whole.sample(key, cut, currentValue(first) + start);
    const values = sample.dataSync() as Float32Array | Int32Array;
    if (sample.dtype === "int32") dtype = "int32";
    sample.dispose();
    out ??= dtype === "int32" ? new Int32Array(chosen.length * width) : new Float32Array(chosen.length * width);
    const entries = size * inner * per;
    for (let i = 0; i < entries; i++) {
      const at = start * inner * per + i;
      const from = (i * k + (chosen[at] as number)) * width;
      out.set(values.subarray(from, from + width), at * width);
    }
  }
  return tf.tensor(out ?? new Float32Array(0), [...shape, ...batch, ...event], dtype);
}

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
