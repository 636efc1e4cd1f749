/** Runs a function with another tfjs backend, or another `Math.random`; and the internals of tfjs's engine that this needs. */
import * as tf from "@tensorflow/tfjs-core";
import type { HostValues } from "../../core/tracing.ts";

/** What is used of a tfjs backend. */
export interface Backend {
  write(values: unknown, shape: number[], dtype: tf.DataType): object;
  readSync(id: object): HostValues | Uint8Array;
  disposeData(id: object): boolean;
  incRef(id: object): void;
  refCount(id: object): number;
  memory(): object;
  epsilon(): number;
  floatPrecision(): number;
}

interface Engine {
  backendName: string;
  backendInstance: Backend;
  readonly state: { readonly tensorInfo: { get(id: object): { readonly backend: Backend } | undefined } };
  /** A tensor that tfjs tracks. */
  makeTensorFromTensorInfo(info: tf.TensorInfo, backend: object): tf.Tensor;
}

export const engine = (): Engine => tf.engine() as unknown as Engine;

/** Runs `body` on another backend, without the set-up that tfjs does for a lasting change. */
export function withBackend<T>(name: string, backend: Backend, body: () => T): T {
  const at = engine();
  const before = [at.backendName, at.backendInstance] as const;
  at.backendName = name;
  at.backendInstance = backend;
  try {
    return body();
  } finally {
    [at.backendName, at.backendInstance] = before;
  }
}

/**
 * Runs `body` with another `Math.random`. Everything of tfjs that draws without a seed (tf.randomNormal, tf.dropout, …) takes its seed
 * from there, and two traces of a small draw may agree by chance: so asking for one is refused where it happens.
 */
export function withRandom<T>(random: () => number, body: () => T): T {
  const before = Math.random;
  Math.random = random;
  try {
    return body();
  } finally {
    Math.random = before;
  }
}
