/** Inputs, options and result of a trace. */
import type { HostValues } from "../../core/tracing.ts";
import type { Graph, NumericArray, TensorType } from "../ir/node.ts";

/** A tensor that a trace starts from. */
export type TraceInput = TensorType;

/** An input that the host makes before every run. */
export interface HostInput {
  readonly name: string;
  make(): HostValues;
  /** The same, written into an existing array. */
  readonly fill?: (to: HostValues) => void;
}

/** The result of a trace. */
export interface Traced {
  readonly graph: Graph;
  readonly host: readonly HostInput[];
  /** Large arrays from before the trace: inputs of every run, so that the program stores no copy. */
  readonly fixed: { readonly [name: string]: NumericArray };
  readonly reports: readonly { readonly name: string; read(values: HostValues): void }[];
  /** Names of outputs that hold bools: where one of them is 0 the run is invalid. */
  readonly guards: readonly string[];
  /** Where constants that came from a written array were made, for messages: by their values. */
  readonly origins: ReadonlyMap<NumericArray, string>;
}

/** How to trace. */
export interface TraceOptions {
  /** Also traces operations on known values, so that a program in double precision computes them in double. */
  readonly exact?: boolean;
  /** Name of the traced function, for messages. */
  readonly what?: string;
  /** Copies of data that was there before, shared by several traces. */
  readonly copies?: WeakMap<object, NumericArray>;
}
