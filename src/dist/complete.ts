/** What any distribution can be asked for: its batch axes as one event (`event`), and to count only part of them (`mask`). */
import * as tf from "@tensorflow/tfjs-core";
import { type ArrayLike, toTensor } from "../core/array.ts";
import { fail } from "../core/errors.ts";
import { broadcastShapes, type Shape, sameShape, showShape, tryBroadcast } from "../core/shape.ts";
import { sumLast } from "./bijections.ts";
import { independent } from "./constraints.ts";
import type { Distribution } from "./distribution.ts";

/** @throws `shape` unless the batch shape broadcasts to the larger one. */
export function checkExpansion(family: string, from: Shape, to: Shape): Shape {
  const common = tryBroadcast(from, to);
  if (common === undefined || !sameShape(common, to)) {
    fail("shape", `${family}: batch shape ${showShape(from)} does not expand to ${showShape(to)}`);
  }
  return to;
}

/**
 * Adds what can be said of any distribution: `event`, `mask`, `maskEntries`.
 *
 * @param maskEntries - By default entries can be masked where an event is one number.
 */
export function completeDistribution(
  core: Omit<Distribution, "event" | "mask" | "maskEntries">,
  maskEntries?: (mask: ArrayLike) => Distribution,
): Distribution {
  const dependent = () =>
    fail(
      "unsupported",
      `${core.family}: entries of one event depend on each other and cannot be masked one by one; declare independent entries with event(n)`,
    );
  const whole: Distribution = {
    ...core,
    event: (n) => eventOf(whole, n),
    mask: (mask) => maskOf(whole, mask),
    maskEntries: maskEntries ?? ((mask) => (core.eventShape.length === 0 ? maskOf(whole, mask) : dependent())),
  };
  return whole;
}

/** The last `n` batch axes of `base` as event axes. */
function eventOf(base: Distribution, n: number): Distribution {
  if (!Number.isInteger(n) || n < 0 || n > base.batchShape.length) {
    fail(
      "shape",
      `${base.family}: event(${n}) needs that many batch axes, but the batch shape is ${showShape(base.batchShape)}`,
    );
  }
  if (n === 0) return base;
  const cut = base.batchShape.length - n;
  const moved = base.batchShape.slice(cut);
  const whole = completeDistribution(
    {
      ...base,
      batchShape: base.batchShape.slice(0, cut),
      eventShape: [...moved, ...base.eventShape],
      support: independent(base.support, n),
      logProb: (value) => tf.tidy(() => sumLast(base.logProb(value), n)),
      entropy: () => tf.tidy(() => sumLast(base.entropy(), n)),
      expand: (larger) => eventOf(base.expand([...larger, ...moved]), n),
      detach: () => eventOf(base.detach(), n),
    },
    (mask) => eventOf(base.maskEntries(mask), n),
  );
  return { ...whole, event: (more) => eventOf(base, n + more) };
}

/** Counts only entries of the batch where `mask` is 1. */
function maskOf(given: Distribution, where: ArrayLike): Distribution {
  const mask = tf.cast(toTensor(where), "bool");
  const batchShape = tryBroadcast(mask.shape, given.batchShape);
  if (batchShape === undefined) {
    return fail(
      "shape",
      `${given.family}: a mask of shape ${showShape(mask.shape)} does not fit the batch shape ${showShape(given.batchShape)}`,
    );
  }
  // A mask larger than the batch asks for independent entries, as `expand` does: for draws too.
  const base = sameShape(batchShape, given.batchShape) ? given : given.expand(batchShape);
  const rank = base.eventShape.length;
  const overEvent = rank === 0 ? mask : tf.reshape(mask, [...mask.shape, ...Array<number>(rank).fill(1)]);
  // What is hidden is replaced before the density sees it: a NaN there reaches neither the value nor the gradient.
  const shown = (value: tf.Tensor): tf.Tensor => {
    const full = broadcastShapes(value.shape, [...batchShape, ...base.eventShape]);
    return tf.where(overEvent, value, tf.cast(base.support.example(full), value.dtype as "float32"));
  };
  return completeDistribution(
    {
      ...base,
      // Another family: closed forms of the whole (a KL) are not those of the part that counts.
      family: `masked(${base.family})`,
      support: { ...base.support, check: (value) => tf.logicalOr(tf.logicalNot(mask), base.support.check(value)) },
      logProb: (value) =>
        tf.tidy(() => {
          const logProb = base.logProb(shown(toTensor(value)));
          return tf.where(mask, logProb, tf.zerosLike(logProb));
        }),
      entropy: () =>
        tf.tidy(() => {
          const entropy = base.entropy();
          return tf.where(mask, entropy, tf.zerosLike(entropy));
        }),
      expand: (larger) => maskOf(base.expand(checkExpansion(base.family, batchShape, larger)), mask),
      detach: () => maskOf(base.detach(), mask),
    },
    // Both masks hold: entries are independent when they are so in the base.
    (entries) => maskOf(base.maskEntries(entries), mask),
  );
}
