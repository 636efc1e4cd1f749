/** What a trace is asked for, and what it gives. */
import type { HostValues } from "../../core/tracing.ts";
import type { Graph, NumericArray, TensorType } from "../ir/node.ts";

/** A tensor that a trace starts from. */
export type TraceInput = TensorType;

/** An input that the host makes before every run. */
export interface HostInput {
  readonly name: string;
  make(): HostValues;
  /** The same into memory that is there. */
  readonly fill?: (to: HostValues) => void;
}

/** What a trace gives. */
export interface Traced {
  readonly graph: Graph;
  readonly host: readonly HostInput[];
  /** Large values that were there before the trace: inputs of every run, so that no copy of them is stored. */
  readonly fixed: { readonly [name: string]: NumericArray };
  readonly reports: readonly { readonly name: string; read(values: HostValues): void }[];
  /** Names of outputs that hold bools: where one of them is 0 the run does not count. */
  readonly guards: readonly string[];
  /** Where constants that came from a written array were made, for messages: by their values. */
  readonly origins: ReadonlyMap<NumericArray, string>;
}

/** How to trace. */
export interface TraceOptions {
  /** Traces also what is known already, so that a program in double precision computes it so. */
  readonly exact?: boolean;
  /** What it is that is being traced, for messages. */
  readonly what?: string;
  /** Copies of data that was there before, shared by several traces. */
  readonly copies?: WeakMap<object, NumericArray>;
}
