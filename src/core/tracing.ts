/**
 * Tracing, seen from below. A compiled step is recorded once and run often: what the host computes for a step (noise, the rows of
 * a minibatch) must then be an input of the record, computed anew for every run, and not a number that was true once.
 *
 * Code that makes such values does it through {@link hostTensor} or {@link hostArray}. Without a trace these are a plain call.
 */
import * as tf from "@tensorflow/tfjs-core";
import type { Shape } from "./shape.ts";

/** Values made on the host. */
export type HostValues = Float32Array | Int32Array;

/** A number of the host that may be another in every run of a record: then a function, asked when host values are made. */
export type MaybeTraced = number | (() => number);

/** The number as it is now. */
export const currentValue = (count: MaybeTraced): number => (typeof count === "function" ? count() : count);

/** What is recording; there while a trace runs, which is always synchronous. */
export interface Tracer {
  /** The site that was answered last, for messages. */
  site: string | undefined;
  /** Whether the value of a tensor depends on the inputs of the record, so that it cannot be read. */
  isSymbolic(tensor: tf.Tensor): boolean;
  /** An input whose values are `make()`, computed before every run; by `fill`, where that is there, into the memory of the last. */
  host(make: () => HostValues, shape: Shape, fill?: (to: HostValues) => void): tf.Tensor;
  /** `make()` now; wherever this very array becomes a tensor, that tensor is an input, made anew before every run. */
  array<A extends HostValues>(make: () => A): A;
  /** Runs `body` as if nothing were recorded: on the engine underneath, with keys as they are now. */
  outside<T>(body: () => T): T;
  /** A condition, elementwise, under which a run counts. Where it fails, the step is done again without the record. */
  guard(ok: tf.Tensor): void;
  /** More tensors with the value of `tensor`, also after its scope has ended. */
  again(tensor: tf.Tensor): () => tf.Tensor;
  /** A further output, read by the host after every run: `read` is given its values. */
  report(tensor: tf.Tensor, read: (values: HostValues) => void): void;
}

let active: Tracer | undefined;

/** The trace under way, if there is one. */
export const currentTracer = (): Tracer | undefined => active;

/** Runs `body` with another recorder, or with none. */
export function withTracer<T>(next: Tracer | undefined, body: () => T): T {
  const before = active;
  active = next;
  try {
    return body();
  } finally {
    active = before;
  }
}

/** A tensor of values that the host makes for every step: noise, rows, numbers of a schedule. */
export const hostTensor = (make: () => HostValues, shape: Shape): tf.Tensor =>
  active === undefined ? tf.tensor(make(), [...shape]) : active.host(make, shape);

/** Backends that copy values when a tensor is made, not when it is first used. */
const COPIES_AT_ONCE = "wasm";

/** Ways to the same values. */
export interface Making {
  make(): HostValues;
  /** In memory that is about to be written over. */
  scratch(): HostValues;
  /** Into memory that is there. */
  fill(to: HostValues): void;
}

/** As {@link hostTensor}, without memory of its own for the values where none is needed. */
export const filledTensor = ({ make, scratch, fill }: Making, shape: Shape): tf.Tensor =>
  active === undefined
    ? tf.tensor(tf.getBackend() === COPIES_AT_ONCE ? scratch() : make(), [...shape])
    : active.host(make, shape, fill);

/** As {@link hostTensor}, for values that become tensors elsewhere. */
export const hostArray = <A extends HostValues>(make: () => A): A =>
  active === undefined ? make() : active.array(make);

/** What {@link hostArray} gave, as it is in this step: for `make` functions that use the values of another. */
export const currentArray = <A extends HostValues>(array: A): A =>
  tracedArrays.get(array) === undefined ? array : (tracedArrays.get(array) as () => A)();

/** Arrays of a trace, with how they are made anew. */
export const tracedArrays = new WeakMap<HostValues, () => HostValues>();

/** Whether a tensor's value is known now; always so without a trace. */
export const isKnown = (tensor: tf.Tensor): boolean => active === undefined || !active.isSymbolic(tensor);

/**
 * A tensor that is worked out on the host or the engine for every step, apart from the record: `make` may read values, but only such
 * as are known.
 */
export function hostResult(make: () => tf.Tensor): tf.Tensor {
  if (active === undefined) return make();
  const { shape, dtype } = active.outside(() => tf.tidy(() => ({ ...pick(make()) })));
  const made = active.host(() => tf.tidy(() => make().dataSync() as HostValues), shape);
  return made.dtype === dtype ? made : tf.cast(made, dtype);
}

const pick = ({ shape, dtype }: tf.Tensor) => ({ shape, dtype });

/**
 * Whether a condition holds everywhere. While a step is recorded, a condition that depends on its inputs is checked in every run
 * instead, and taken to hold here.
 */
export function checkAll(ok: tf.Tensor): boolean {
  if (active?.isSymbolic(ok)) {
    active.guard(ok);
    return true;
  }
  return !(ok.dataSync() as ArrayLike<number> as Uint8Array).includes(0);
}
