/** What a distribution is: shapes, a support, a log-density and a sampler. Everything else in this folder builds one. */
import type * as tf from "@tensorflow/tfjs-core";
import type { ArrayLike } from "../core/array.ts";
import type { Key } from "../core/key.ts";
import type { Shape } from "../core/shape.ts";
import type { MaybeTraced } from "../core/tracing.ts";
import type { TensorTree } from "../core/tree.ts";
import type { Constraint } from "./constraint.ts";

/**
 * A distribution over values of shape `eventShape`, one per entry of `batchShape`.
 *
 * @remarks Shapes follow the usual rule: a value is `[...draws, ...batch, ...event]`, its log-probability
 * `[...draws, ...batch]`. Values broadcast against the batch on the right.
 */
export interface Distribution {
  /** Name of the family, for instance `normal`. */
  readonly family: string;
  readonly batchShape: Shape;
  readonly eventShape: Shape;
  /** Where values lie; `support.eventRank` axes on the right belong to one event. */
  readonly support: Constraint;
  readonly discrete: boolean;
  /** Whether `sample` is differentiable in the parameters, by a path or implicitly. */
  readonly reparameterized: boolean;
  /** The parameters, as given, by their names. */
  readonly params: TensorTree;
  /** log p(value), in nats, up to no constant: densities are normalised (but for `improper`). Shape `[...draws, ...batch]`. */
  logProb(value: ArrayLike): tf.Tensor;
  /**
   * Draws of shape `[...shape, ...batch, ...event]`.
   *
   * @param first - Index, along the leading axis of the result, of the first draw: draws `[first, first + n)` of one key
   * are the same numbers however they are cut into calls.
   */
  sample(key: Key, shape?: Shape, first?: MaybeTraced): tf.Tensor;
  /** @throws `unsupported` when the mean does not exist or has no closed form. */
  mean(): tf.Tensor;
  /** Elementwise variance. @throws `unsupported` when it does not exist or has no closed form. */
  variance(): tf.Tensor;
  /** Differential or Shannon entropy in nats, shape `batch`. @throws `unsupported` when there is no closed form. */
  entropy(): tf.Tensor;
  /** Declares the last `n` batch axes part of one event: their log-probabilities are summed. */
  event(n: number): Distribution;
  /** Counts only entries where `mask` is 1: others have log-probability 0 in value and gradient, also for NaN values. */
  mask(mask: ArrayLike): Distribution;
  /**
   * Counts only entries of the *value* where `mask` (shape `[...batch, ...event]`) is 1: missing features inside an event.
   * The support of the result ignores the entries that are masked out. For a distribution without event axes it is `mask`.
   *
   * @throws `unsupported` unless the event axes were declared by `event(n)`, so that its entries are independent.
   */
  maskEntries(mask: ArrayLike): Distribution;
  /** The same distribution independently over a larger batch. @throws `shape` when `batchShape` does not broadcast to it. */
  expand(batchShape: Shape): Distribution;
  /** The same distribution with gradients stopped at its parameters. */
  detach(): Distribution;
}
