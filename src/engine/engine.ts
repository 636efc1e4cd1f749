/** The choice of engine: the embedded wasm one by default, or the GPU through an optional peer. */

import * as wasm from "@tensorflow/tfjs-backend-wasm";
import * as tf from "@tensorflow/tfjs-core";
import { checkWhole } from "../core/check.ts";
import { fail } from "../core/errors.ts";
import type { EngineChoice, EngineInfo, EngineName } from "./info.ts";
import { installRepairs } from "./install.ts";
import { type NodeGpuOptions, startNodeGpu } from "./node-gpu.ts";
import { type OnnxRuntimeSource, setOnnxRuntime } from "./ort-module.ts";
import { withSuppressedLogs } from "./suppress-logs.ts";
import { startWithTimeout, withNodeThreads, withoutThreads } from "./threads.ts";

export type { CompileInfo, EngineChoice, EngineInfo, EngineName } from "./info.ts";
export type { NodeGpuOptions } from "./node-gpu.ts";

/** Options of the wasm engine. */
export interface WasmOptions {
  /**
   * Where the three `.wasm` files of `@tensorflow/tfjs-backend-wasm` are: a folder (ending in `/`) or a record from file
   * name to address. Node finds them beside the package, from any working directory; in a browser a bundler usually
   * moves them, so say where: `useEngine("wasm", { wasmPaths: "/assets/tfjs/" })`.
   */
  readonly wasmPaths?: string | { readonly [file: string]: string };
  /**
   * Threads for large products: 1 by default, at most 8. Chosen at the first start and fixed from then on. Where threads
   * cannot be had the engine runs without, and the result says so in a note. In a browser they need a cross-origin isolated
   * page, and number at most half of its processors; a bundler that takes the loader's function apart (Vite 8 does) leaves
   * the engine without them, ten seconds later. In Node they are experimental.
   */
  readonly threads?: number;
  /**
   * Where `engine: "compiled"` finds ONNX Runtime in a browser: `() => import("onnxruntime-web/wasm")`. Bundlers see this import, and
   * it is made when something is compiled. In Node an installed package is found without it.
   */
  readonly onnxruntime?: OnnxRuntimeSource;
}

/** Process events for which Emscripten's start-up code installs handlers. */
const EMSCRIPTEN_EVENTS = ["uncaughtException", "unhandledRejection"] as const;

/**
 * Runs `start` and removes the handlers that Emscripten's start-up code installed on the process meanwhile: they rethrow every
 * uncaught error of the program from inside the minified wasm loader, so that Node prints 70 kB of it instead of the error.
 */
async function withoutEmscriptenHandlers<T>(start: () => Promise<T>): Promise<T> {
  if (typeof process === "undefined" || typeof process.listeners !== "function") return start();
  const before = EMSCRIPTEN_EVENTS.map((event) => new Set<unknown>(process.listeners(event as "uncaughtException")));
  try {
    return await start();
  } finally {
    EMSCRIPTEN_EVENTS.forEach((event, i) => {
      for (const listener of process.listeners(event as "uncaughtException")) {
        if (!before[i]?.has(listener) && /ExitStatus|throw reason/.test(String(listener))) {
          process.removeListener(event, listener as (...args: unknown[]) => void);
        }
      }
    });
  }
}

let chosen: EngineInfo | undefined;
/** Engines are started one at a time: tfjs drops a backend if another is started before it is ready. */
let queue: Promise<unknown> = Promise.resolve();

function enqueue<T>(task: () => Promise<T>): Promise<T> {
  const next = queue.then(task, task);
  queue = next.catch(() => undefined);
  return next;
}

/** Most threads that the loader of the wasm file starts. */
const MAX_THREADS = 8;

/** How many threads the wasm engine runs with; undefined until it has started. */
let running: number | undefined;

/** Starts tfjs's wasm backend; returns what it printed. */
async function startBackend(threads: number): Promise<{ started: boolean; messages: readonly string[] }> {
  const start = () => withoutEmscriptenHandlers(() => tf.setBackend("wasm"));
  const attempt = async (): Promise<boolean> => {
    const inNode = typeof process !== "undefined" && Boolean(process.versions?.node);
    wasm.setThreadsCount(threads);
    if (running !== undefined) return start();
    if (threads === 1) return withoutThreads(start);
    const started = await (inNode ? withNodeThreads(threads, start) : startWithTimeout(start));
    return started || withoutThreads(start);
  };
  const { result, messages } = await withSuppressedLogs(attempt, (message) => /wasm|worker/i.test(message));
  return { started: result, messages };
}

async function startWasm({ wasmPaths, threads = running ?? 1, onnxruntime }: WasmOptions): Promise<EngineInfo> {
  if (onnxruntime !== undefined) setOnnxRuntime(onnxruntime);
  checkWhole('useEngine("wasm")', "threads", threads, 1, MAX_THREADS);
  if (wasmPaths !== undefined && running === undefined) wasm.setWasmPaths(wasmPaths as string);
  const { started, messages } = await startBackend(threads);
  if (!started) {
    fail(
      "engine",
      `the wasm engine could not start: ${messages.join(" ") || "no reason given"}. In a browser, pass { wasmPaths } with the folder that serves the .wasm files of @tensorflow/tfjs-backend-wasm`,
    );
  }
  const before = running;
  const simd = Boolean(await tf.env().getAsync("WASM_HAS_SIMD_SUPPORT"));
  running = wasm.getThreadsCount();
  const why =
    before === undefined
      ? "threads are not available here"
      : "it was already running, and threads are fixed at the first start";
  const note = `${threads} threads were asked for, ${running} ${running === 1 ? "runs" : "run"}: ${why}`;
  return { name: "wasm", threads: running, simd, gpu: false, ...(running === threads ? {} : { note }) };
}

/**
 * Chooses the engine on which everything runs from now on.
 *
 * @param name `"wasm"`: embedded, Node and browser. `"node-gpu"`: `@tensorflow/tfjs-node-gpu`, an optional peer.
 * @returns what is running.
 * @throws `engine` when it cannot start; the engine that ran before keeps running.
 */
export function useEngine(name: "wasm", options?: WasmOptions): Promise<EngineInfo>;
export function useEngine(name: "node-gpu", options?: NodeGpuOptions): Promise<EngineInfo>;
export function useEngine(name: EngineName, options: WasmOptions & NodeGpuOptions = {}): Promise<EngineInfo> {
  return enqueue(async () => {
    if (name !== "wasm" && name !== "node-gpu") {
      return fail("argument", `useEngine: unknown engine "${String(name)}"; there are "wasm" and "node-gpu"`);
    }
    installRepairs();
    try {
      chosen = name === "wasm" ? await startWasm(options) : await startNodeGpu(options);
      return chosen;
    } finally {
      // The optional peer brings all of tfjs, whose gradients overwrite ours.
      installRepairs();
    }
  });
}

/** The engine in use; starts the wasm engine when none was chosen. Every public function that computes awaits this first. */
export async function ensureEngine(): Promise<EngineInfo> {
  installRepairs();
  if (chosen !== undefined) return chosen;
  return enqueue(async () => {
    if (chosen !== undefined) return chosen;
    chosen = await startWasm({});
    return chosen;
  });
}

/** The engine on which a run with that option goes op by op, or is traced: the one in use unless one is named. */
export async function engineFor(choice: EngineChoice): Promise<EngineInfo> {
  const known: readonly unknown[] = ["auto", "compiled", "wasm", "node-gpu"];
  if (!known.includes(choice)) {
    fail("argument", `engine: expected one of ${known.map((name) => `"${name}"`).join(", ")}, got "${String(choice)}"`);
  }
  const now = await ensureEngine();
  if (choice === "auto" || choice === "compiled" || choice === now.name) return now;
  return choice === "wasm" ? useEngine("wasm") : useEngine("node-gpu");
}

/** The option with `auto` resolved: on node-gpu it means node-gpu, so that nothing is compiled for the CPU unasked. */
export const resolveChoice = (choice: EngineChoice = "auto"): EngineChoice =>
  choice === "auto" && chosen?.name === "node-gpu" ? "node-gpu" : choice;

/**
 * For code that cannot await: the engine in use.
 *
 * @throws `engine` when none has been started.
 */
export function requireEngine(): EngineInfo {
  if (chosen === undefined) {
    return fail("engine", 'no engine is running yet: `await useEngine("wasm")` once, before the first computation');
  }
  installRepairs();
  return chosen;
}
