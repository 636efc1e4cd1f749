/** Descriptions of an engine and of a run on it. */

/** Engines a program can ask for. */
export type EngineName = "wasm" | "node-gpu";

/**
 * Which engine runs an inner loop. `auto`: compiled where that is possible and pays, else op by op on the engine in use; on node-gpu
 * always op by op. `compiled`: compiled, or an error. `wasm` and `node-gpu`: op by op, on that engine.
 */
export type EngineChoice = "auto" | "wasm" | "compiled" | "node-gpu";

/** Whether the inner loop of a run was compiled. */
export type CompileInfo =
  | {
      /** The inner loop ran compiled. */
      readonly used: true;
      /** Which ONNX Runtime: native in Node, or WebAssembly. */
      readonly runtime: string;
      /** Threads inside one operation, or one for each shard. */
      readonly threads: number;
      /** Operations of one step. */
      readonly operations: number;
      /** Steps in one call of the runtime, where it is more than one. */
      readonly stepsPerCall?: number;
      /** Parts into which the chains of such a call are split, each in a thread of its own, where there is more than one. */
      readonly shards?: number;
      /** Milliseconds spent on tracing and compiling, once. */
      readonly compileMs: number;
    }
  | {
      readonly used: false;
      /** Why not, in one sentence. */
      readonly reason: string;
    };

/** What is running. */
export interface EngineInfo {
  readonly name: EngineName;
  /** Threads used by large products. */
  readonly threads: number;
  /** Whether the wasm engine uses vector instructions. */
  readonly simd: boolean;
  /** Whether a GPU does the work. */
  readonly gpu: boolean;
  /** What the caller asked for and did not get, in one sentence. */
  readonly note?: string;
  /** Of a run: whether its inner loop was compiled, and if not, why. */
  readonly compiled?: CompileInfo;
}
