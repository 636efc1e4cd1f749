/**
 * What code below the compiler needs to know of tracing. A compiled step is traced once and run often. What the host computes for a
 * step (noise, the rows of a minibatch) must then be an input of the graph, computed again for every run, and not a constant.
 *
 * Code that makes such values does it through {@link hostTensor} or {@link hostArray}. Without a trace these are plain calls.
 */
import * as tf from "@tensorflow/tfjs-core";
import type { Shape } from "./shape.ts";

/** Values computed on the host. */
export type HostValues = Float32Array | Int32Array;

/** A number of the host. Under a trace it may change from run to run: then it is a function, called when host values are computed. */
export type MaybeTraced = number | (() => number);

/** The number in the current run. */
export const currentValue = (value: MaybeTraced): number => (typeof value === "function" ? value() : value);

/** The trace under way. A trace is always synchronous. */
export interface Tracer {
  /** The site that was handled last, for messages. */
  site: string | undefined;
  /** Whether the value of a tensor depends on the inputs of the graph, so that it cannot be read. */
  isSymbolic(tensor: tf.Tensor): boolean;
  /** A graph input whose values are `make()`, computed before every run; `fill`, where given, writes them to the last run's memory. */
  hostInput(make: () => HostValues, shape: Shape, fill?: (to: HostValues) => void): tf.Tensor;
  /** `make()` now; wherever this very array becomes a tensor, that tensor is a graph input, computed before every run. */
  hostArray<A extends HostValues>(make: () => A): A;
  /** Runs `body` without tracing: on the engine underneath, with the keys of the current run. */
  untraced<T>(body: () => T): T;
  /** An elementwise condition under which a run is valid. Where it fails, the step is repeated op by op. */
  guard(ok: tf.Tensor): void;
  /** Makes tensors with the value of `tensor`, also after its scope has ended. */
  alias(tensor: tf.Tensor): () => tf.Tensor;
  /** A further output of the graph: `read` is given its values after every run. */
  hostCallback(tensor: tf.Tensor, read: (values: HostValues) => void): void;
}

let active: Tracer | undefined;

/** The trace under way, if there is one. */
export const currentTracer = (): Tracer | undefined => active;

/** Runs `body` under another tracer, or under none. */
export function withTracer<T>(next: Tracer | undefined, body: () => T): T {
  const before = active;
  active = next;
  try {
    return body();
  } finally {
    active = before;
  }
}

/** A tensor of values that the host computes for every step: noise, rows, numbers of a schedule. */
export const hostTensor = (make: () => HostValues, shape: Shape): tf.Tensor =>
  active === undefined ? tf.tensor(make(), [...shape]) : active.hostInput(make, shape);

/** The backend that copies values when a tensor is made, not when it is first used. */
const COPIES_AT_ONCE = "wasm";

/** Three ways to the same values. */
export interface HostSource {
  /** In an array of their own. */
  make(): HostValues;
  /** In memory that the next call overwrites. */
  scratch(): HostValues;
  /** In the array given. */
  fill(to: HostValues): void;
}

/** As {@link hostTensor}, without an array of their own for the values where none is needed. */
export const hostTensorFrom = ({ make, scratch, fill }: HostSource, shape: Shape): tf.Tensor =>
  active === undefined
    ? tf.tensor(tf.getBackend() === COPIES_AT_ONCE ? scratch() : make(), [...shape])
    : active.hostInput(make, shape, fill);

/** As {@link hostTensor}, for values that become tensors elsewhere. */
export const hostArray = <A extends HostValues>(make: () => A): A =>
  active === undefined ? make() : active.hostArray(make);

/** The value in the current run of an array from {@link hostArray}: for `make` functions that use it. */
export const currentArray = <A extends HostValues>(array: A): A =>
  tracedArrays.get(array) === undefined ? array : (tracedArrays.get(array) as () => A)();

/** Arrays made under a trace, and how each is computed again. */
export const tracedArrays = new WeakMap<HostValues, () => HostValues>();

/** Whether a tensor's value can be read now (JAX: concrete, not a tracer); always so without a trace. */
export const isConcrete = (tensor: tf.Tensor): boolean => active === undefined || !active.isSymbolic(tensor);

/**
 * Makes tensors with the value that `tensor` has in this step, also after its scope has ended. They are constants to every gradient, at no
 * cost to the backward pass.
 */
export function constantsOf(tensor: tf.Tensor): () => tf.Tensor {
  if (active !== undefined) return active.alias(tensor);
  const values = tensor.dataSync();
  return () => tf.tensor(values, tensor.shape, tensor.dtype as "float32");
}

/** Hands the values of a tensor to the host: now, or, under a trace that decides them, after every run. */
export function withValues(tensor: tf.Tensor, read: (values: HostValues) => void): void {
  if (active?.isSymbolic(tensor)) active.hostCallback(tensor, read);
  else read(tensor.dataSync() as HostValues);
}

/**
 * A tensor that is computed outside the graph for every step, as by `jax.pure_callback`: `make` may read values, but only concrete
 * ones.
 */
export function hostResult(make: () => tf.Tensor): tf.Tensor {
  if (active === undefined) return make();
  const { shape, dtype } = active.untraced(() => tf.tidy(() => ({ ...shapeAndType(make()) })));
  const made = active.hostInput(() => tf.tidy(() => make().dataSync() as HostValues), shape);
  return made.dtype === dtype ? made : tf.cast(made, dtype);
}

const shapeAndType = ({ shape, dtype }: tf.Tensor) => ({ shape, dtype });

/**
 * Whether a condition holds everywhere. Under a trace, a condition that depends on the inputs becomes a guard of every run, and is
 * taken to hold here.
 */
export function checkAll(ok: tf.Tensor): boolean {
  if (active?.isSymbolic(ok)) {
    active.guard(ok);
    return true;
  }
  return !(ok.dataSync() as ArrayLike<number> as Uint8Array).includes(0);
}
