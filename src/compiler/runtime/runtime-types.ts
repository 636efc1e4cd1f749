/** The parts of ONNX Runtime that are used, the same for each of its packages. */

/** `worker`: the native runtime in a thread of its own. */
export type RuntimeName = "node" | "web" | "worker";

export interface SessionSettings {
  readonly threads: number;
  /** Writes a profile of every run to a file whose name starts so. */
  readonly profile?: string;
}

/** What is used of a tensor of ONNX Runtime. */
export interface Tensor {
  readonly data: unknown;
}

export type Values = Readonly<Record<string, Tensor>>;

/** Outputs wanted, by name: null for one that the runtime makes, a tensor for one that it writes in place. */
export type Fetches = Readonly<Record<string, Tensor | null>>;

/** A loaded model. `runNow` is there when the runtime can answer before it returns. */
export interface LoadedModel {
  readonly runNow?: (feeds: Values, wanted: Fetches) => Values;
  readonly run: (feeds: Values, wanted: readonly string[]) => Promise<Values>;
  /** Ends profiling; the profile is then complete on disk. */
  readonly endProfiling: () => void;
  readonly release: () => void;
}

/** A tensor of the runtime on an array. */
export type MakeTensor = (
  type: "float32" | "float64" | "int32" | "bool",
  data: unknown,
  shape: readonly number[],
) => Tensor;

export interface Runtime {
  readonly name: RuntimeName;
  /** Whether runs can go without copies of their outputs; see `output-copies.ts`. */
  readonly skipsCopies?: boolean;
  readonly makeTensor: MakeTensor;
  readonly load: (model: Uint8Array, settings: SessionSettings) => Promise<LoadedModel>;
}
