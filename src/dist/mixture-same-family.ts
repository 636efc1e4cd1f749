/** Mixtures of one family, whose components are the last batch axis. */
import * as tf from "@tensorflow/tfjs-core";
import { type ArrayLike, toTensor } from "../core/array.ts";
import { fail } from "../core/errors.ts";
import { fold, type Key } from "../core/key.ts";
import { normal as normalDraws } from "../core/random/draws.ts";
import { broadcastShapes, type Shape, showShape, sizeOf } from "../core/shape.ts";
import { currentValue, hostTensor, type MaybeTraced } from "../core/tracing.ts";
import { logSumExp } from "../engine/ops.ts";
import { broadcastTo } from "../engine/smooth.ts";
import { classesOf } from "./categorical.ts";
import { completeDistribution } from "./complete.ts";
import { diagonalMixtureLogProb } from "./diagonal-mixture.ts";
import type { Distribution } from "./distribution.ts";
import { choices, logWeightsOf, mixingOf, moments, prefixed, unsupported, weightsOver } from "./mixing.ts";

/** Numbers in one slice of the table of values × components that a log-density or a sampler makes. */
const SLICE = 1 << 21;

/** Parameters of diagonal normals, `[K, d]`. */
interface DiagonalNormals {
  readonly loc: tf.Tensor;
  readonly scale: tf.Tensor;
}

/** The components as diagonal normals, when they are such without further batch axes. */
function diagonalNormals(components: Distribution): DiagonalNormals | undefined {
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

/** Number of components; refuses another number of weights. */
function countComponents(mixing: Distribution, components: Distribution): number {
  const k = components.batchShape.at(-1);
  const classes = classesOf(mixing.params);
  if (k === undefined || classes !== k) {
    return fail(
      "shape",
      `mixture: ${classes} weights for components of batch shape ${showShape(components.batchShape)}: its last axis must be the component`,
    );
  }
  return k;
}

/** log Σₖ wₖ p(x; k), `[...draws, ...batch]`, in slices of draws whose table of values × components is bounded. */
function slicedLogProb(
  components: Distribution,
  logWeights: tf.Tensor,
  batchShape: Shape,
  k: number,
  x: tf.Tensor,
): tf.Tensor {
  const { eventShape } = components;
  const rank = eventShape.length;
  const one = (value: tf.Tensor): tf.Tensor =>
    tf.tidy(() => logSumExp(tf.add(components.logProb(tf.expandDims(value, value.rank - rank)), logWeights), -1));
  const lead = x.rank - rank - batchShape.length;
  if (lead <= 0) return one(x);
  const draws = sizeOf(x.shape.slice(0, lead));
  const rest = x.shape.slice(lead);
  const rows = Math.max(
    1,
    Math.floor(SLICE / Math.max(1, sizeOf(broadcastShapes(rest, [...batchShape, ...eventShape])) * k)),
  );
  if (rows >= draws) return one(x);
  const flat = tf.reshape(x, [draws, ...rest]);
  const parts: tf.Tensor[] = [];
  for (let start = 0; start < draws; start += rows) {
    parts.push(one(tf.slice(flat, [start, ...rest.map(() => 0)], [Math.min(rows, draws - start), ...rest])));
  }
  return tf.reshape(tf.concat(parts, 0), [...x.shape.slice(0, lead), ...(parts[0] as tf.Tensor).shape.slice(1)]);
}

/** Draws μ + σξ of chosen diagonal normals, of shape `[...shape, d]` in a row; the parameters are read now. */
function normalsDraw(
  { loc: means, scale: widths }: DiagonalNormals,
  key: Key,
  shape: Shape,
  first: MaybeTraced,
  choose: () => Int32Array,
): () => Float32Array {
  const d = means.shape[1] as number;
  const [loc, scale] = [means.dataSync(), widths.dataSync()];
  return () => {
    const chosen = choose();
    const noise = normalDraws(key, chosen.length * d, currentValue(first) * sizeOf(shape.slice(1)) * d);
    return noise.map((z, i) => {
      const at = (chosen[Math.floor(i / d)] as number) * d + (i % d);
      return (loc[at] as number) + (scale[at] as number) * z;
    });
  };
}

function sameFamily(mixing: Distribution, components: Distribution): Distribution {
  const k = countComponents(mixing, components);
  const batchShape = broadcastShapes(mixing.batchShape, components.batchShape.slice(0, -1));
  const { eventShape } = components;
  const normals = () => (batchShape.length === 0 ? diagonalNormals(components) : undefined);
  const ofMixture = () => moments(weightsOver(mixing, batchShape, k, eventShape), components.mean(), batchShape.length);

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
        const diagonal = normals();
        const logWeights = logWeightsOf(mixing, batchShape, k);
        if (diagonal === undefined) return slicedLogProb(components, logWeights, batchShape, k, x);
        const points = tf.reshape(tf.cast(x, "float32"), [-1, diagonal.loc.shape[1] as number]);
        const flat = diagonalMixtureLogProb(points, logWeights, diagonal.loc, diagonal.scale);
        return tf.reshape(flat, x.shape.slice(0, x.rank - eventShape.length));
      }),
    sample(key, shape = [], first = 0) {
      const full = [...shape, ...batchShape];
      const choose = choices(mixing, key, full, batchShape, k, first);
      return tf.tidy(() => {
        const diagonal = normals();
        const own = fold(key, "value");
        if (diagonal === undefined) return select(components, own, shape, first, choose(), k, batchShape);
        return hostTensor(normalsDraw(diagonal, own, full, first, choose), [...full, ...eventShape]);
      });
    },
    mean: () => tf.tidy(() => ofMixture().mean),
    variance: () => tf.tidy(() => ofMixture().variance(components.variance())),
    entropy: unsupported("entropy"),
    expand: (larger) =>
      batchShape.length === 0
        ? repeated(sameFamily(mixing, components), larger)
        : sameFamily(mixing, components.expand([...larger, k])),
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
