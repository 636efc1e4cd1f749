/**
 * How a family becomes a distribution. A family says what is its own: parameters with their constraints, a log-density, a sampler.
 * What all share (validation, batch shapes, draws while tracing, `expand`, `detach`) is added here, once.
 */
import * as tf from "@tensorflow/tfjs-core";
import { type ArrayLike, toTensor } from "../core/array.ts";
import { fail, TiltedError } from "../core/errors.ts";
import type { Key } from "../core/key.ts";
import type { BulkDraw } from "../core/random/draws.ts";
import { broadcastShapes, type Shape, sameShape, showShape, sizeOf } from "../core/shape.ts";
import {
  checkAll,
  currentTracer,
  currentValue,
  type HostValues,
  hostResult,
  hostTensorFrom,
  isConcrete,
  type MaybeTraced,
} from "../core/tracing.ts";
import { mapTree, type TensorTree, toArrays, toTensors } from "../core/tree.ts";
import { stopGradient } from "../engine/ops.ts";
import { checkExpansion, completeDistribution } from "./complete.ts";
import type { Constraint } from "./constraint.ts";
import type { Distribution } from "./distribution.ts";

/** Parameters by name. */
export type FamilyParams<P extends string> = { readonly [N in P]: tf.Tensor };

/** What a family's sampler is given: what to draw, and the noise to make it from. */
export interface DrawContext {
  readonly key: Key;
  /** `[...draws, ...batch]`: what the result's shape begins with. */
  readonly shape: Shape;
  /** Number of entries of `shape`. */
  readonly size: number;
  /** Number of draws before the first one, in entries of `shape`. */
  readonly offset: number;
  /** Noise of shape `[...shape, ...extra]`. */
  noise(draw: BulkDraw, key?: Key, extra?: Shape): tf.Tensor;
  /** A parameter on the host, one value for every entry of `[...shape, ...extra]`. */
  values(param: tf.Tensor, extra?: Shape): Float32Array;
}

/**
 * A family of distributions with parameters named `P`: what {@link fromFamily} makes distributions of.
 *
 * @remarks All functions are given validated float32 tensors and return tensors. Parameters keep the shapes they were given, so a
 * closed form may be smaller than the batch: what comes out is broadcast. They run within `tf.tidy`.
 */
export interface Family<P extends string> {
  /** Name of the family, as `Distribution.family` and errors have it. Closed forms of KL go by it. */
  readonly family: string;
  /** The constraint on each parameter; its `eventRank` axes on the right belong to one value. */
  readonly params: { readonly [N in P]: Constraint };
  readonly support: Constraint | ((params: FamilyParams<P>) => Constraint);
  readonly discrete?: boolean;
  /** Whether a draw is differentiable in the parameters. Default: continuous families are. */
  readonly reparameterized?: boolean;
  /** Shape of one value. Default `[]`: numbers. */
  eventShape?(params: FamilyParams<P>): Shape;
  /** log p(value), summed over the event, of shape `[...draws, ...batch]`; broadcasts value and parameters on the right. */
  logProb(params: FamilyParams<P>, value: tf.Tensor): tf.Tensor;
  /** Draws of shape `[...draw.shape, ...event]`: entry i a function of `(draw.key, draw.offset + i)` and its parameters alone. */
  draw(params: FamilyParams<P>, draw: DrawContext): tf.Tensor;
  mean?(params: FamilyParams<P>): tf.Tensor;
  variance?(params: FamilyParams<P>): tf.Tensor;
  entropy?(params: FamilyParams<P>): tf.Tensor;
}

/**
 * The distribution of a family at given parameters, which are validated and broadcast to one batch shape.
 *
 * @example The exponential distribution at rate λ:
 * const family: Family<"rate"> = {
 *   family: "exponential",
 *   params: { rate: positive },
 *   support: nonNegative,
 *   logProb: ({ rate }, x) => tf.sub(tf.log(rate), tf.mul(rate, x)),
 *   draw: ({ rate }, d) => tf.div(d.noise(exponentialDraws), rate),
 * };
 * const waiting = (rate: ArrayLike) => fromFamily(family, { rate });
 * @throws `parameter` naming family, parameter, value and constraint; `shape` when parameters do not broadcast.
 */
export function fromFamily<P extends string>(family: Family<P>, given: { readonly [N in P]: ArrayLike }): Distribution {
  const params = mapTree<ArrayLike, tf.Tensor>(given, (value) => {
    const tensor = toTensor(value);
    return tensor.dtype === "float32" ? tensor : tf.cast(tensor, "float32");
  }) as { [N in P]: tf.Tensor };
  for (const name of Object.keys(params) as P[]) {
    validate(family.family, name, params[name], family.params[name], given[name] instanceof tf.Tensor);
  }
  const shapes = (Object.keys(params) as P[]).map((name) => {
    const { shape } = params[name];
    return shape.slice(0, shape.length - family.params[name].eventRank);
  });
  return distributionOf(family, params, broadcastShapes(...shapes));
}

/** Refuses a parameter that violates its constraint, with the value and its place. */
function validate(family: string, name: string, param: tf.Tensor, constraint: Constraint, computed: boolean): void {
  // A computed real (a network's output) is not read back: a NaN in it is caught as the log-probability of its site.
  if (computed && constraint.name === "real") return;
  if (param.rank < constraint.eventRank) {
    fail(
      "shape",
      `${family}: ${name} has shape ${showShape(param.shape)}, but needs ${constraint.eventRank} axes or more`,
    );
  }
  if (tf.tidy(() => checkAll(constraint.check(param)))) return;
  const inside = tf.tidy(() => tf.cast(constraint.check(param), "int32").dataSync());
  const bad = inside.indexOf(0);
  const event = param.shape.slice(param.rank - constraint.eventRank);
  const size = sizeOf(event);
  const values = param.dataSync().slice(bad * size, (bad + 1) * size);
  const shown =
    size === 1 ? String(values[0]) : `[${Array.from(values.slice(0, SHOWN)).join(", ")}${size > SHOWN ? ", …" : ""}]`;
  const where = inside.length === 1 ? "" : ` (entry ${bad})`;
  fail("parameter", `${family}: ${name} must be ${constraint.name}, got ${shown}${where}`);
}

/** Entries of an offending parameter that a message shows. */
const SHOWN = 8;

function distributionOf<P extends string>(family: Family<P>, params: FamilyParams<P>, batchShape: Shape): Distribution {
  const eventShape = family.eventShape?.(params) ?? [];
  const overBatch = (x: tf.Tensor, extra: Shape = []): tf.Tensor => {
    const full = [...batchShape, ...extra];
    return sameShape(x.shape, full) ? x : tf.broadcastTo(x, full);
  };
  const closed = (what: "mean" | "variance" | "entropy", extra: Shape): tf.Tensor => {
    const form = family[what];
    if (form === undefined) return fail("unsupported", `${family.family}: its ${what} has no closed form here`);
    return tf.tidy(() => overBatch(form.call(family, params), extra));
  };
  return completeDistribution({
    family: family.family,
    batchShape,
    eventShape,
    support: typeof family.support === "function" ? family.support(params) : family.support,
    discrete: family.discrete ?? false,
    reparameterized: family.reparameterized ?? !(family.discrete ?? false),
    params: params as TensorTree,
    logProb: (value) =>
      tf.tidy(() => {
        const x = toTensor(value);
        const logProb = family.logProb(params, x.dtype === "float32" ? x : tf.cast(x, "float32"));
        const full = broadcastShapes(logProb.shape, batchShape);
        return sameShape(full, logProb.shape) ? logProb : tf.broadcastTo(logProb, full);
      }),
    sample: (key, shape = [], first = 0) =>
      tf.tidy(() => drawn(params, (p) => family.draw(p, drawing(key, [...shape, ...batchShape], first)))),
    mean: () => closed("mean", eventShape),
    variance: () => closed("variance", eventShape),
    entropy: () => closed("entropy", []),
    expand: (larger) => distributionOf(family, params, checkExpansion(family.family, batchShape, larger)),
    detach: () => distributionOf(family, mapTree(params as TensorTree, stopGradient) as FamilyParams<P>, batchShape),
  });
}

/**
 * Draws from parameters. A sampler that reads them (rejection, a choice among classes) cannot be traced; where they are concrete, its
 * draws are computed on the host for every run.
 *
 * @throws `trace` when they are not concrete.
 */
function drawn<P extends string>(params: FamilyParams<P>, draw: (params: FamilyParams<P>) => tf.Tensor): tf.Tensor {
  if (currentTracer() === undefined) return draw(params);
  try {
    return draw(params);
  } catch (error) {
    const unseen = error instanceof TiltedError && error.code === "trace";
    if (!unseen || !Object.values<tf.Tensor>(params).every(isConcrete)) throw error;
    const kept = toArrays(params as TensorTree);
    return hostResult(() => draw(toTensors(kept) as FamilyParams<P>));
  }
}

/** The sampler's view of one call. */
function drawing(key: Key, shape: Shape, first: MaybeTraced): DrawContext {
  const offset = () => currentValue(first) * sizeOf(shape.slice(1));
  return {
    key,
    shape,
    size: sizeOf(shape),
    get offset() {
      return offset();
    },
    noise(draw, own = key, extra = []) {
      const size = sizeOf(extra);
      const by = (made: BulkDraw | BulkDraw["scratch"]) => () => made(own, sizeOf(shape) * size, offset() * size);
      const fill = (to: HostValues) => draw.fill(own, to as Float32Array, offset() * size);
      return hostTensorFrom({ make: by(draw), scratch: by(draw.scratch), fill }, [...shape, ...extra]);
    },
    values(param, extra = []) {
      const full = [...shape, ...extra];
      return tf.tidy(
        () => (sameShape(param.shape, full) ? param : tf.broadcastTo(param, full)).dataSync() as Float32Array,
      );
    },
  };
}
