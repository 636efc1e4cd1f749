/** What an engine says about itself. */

/** Engines a program can ask for. */
export type EngineName = "wasm" | "node-gpu";

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
}
