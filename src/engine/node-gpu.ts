/** The GPU through `@tensorflow/tfjs-node-gpu`: an optional peer, loaded only when it is asked for. */
import * as tf from "@tensorflow/tfjs-core";
import { fail, TiltedError } from "../core/errors.ts";
import type { EngineInfo } from "./info.ts";
import { withSuppressedLogs } from "./suppress-logs.ts";

const PACKAGE = "@tensorflow/tfjs-node-gpu";
const VERSION = "4.22.0";
const BACKEND = "tensorflow";
/** What its libtensorflow 2.9.1 was built against. */
const REQUIREMENTS = "CUDA 11.2 and cuDNN 8.1 on the library path, and a GPU of an architecture up to 8.6";

/** Options of the node-gpu engine. */
export interface NodeGpuOptions {
  /** How the package is loaded: by default `import("@tensorflow/tfjs-node-gpu")`. */
  readonly load?: () => Promise<unknown>;
}

/** The name is not a literal, so that no bundler and no compiler looks for a package that need not be there. */
const importPeer = (): Promise<unknown> => import(/* @vite-ignore */ [PACKAGE].join(""));

/** The part of Node that is used; absent in a browser. */
interface NodeProcess {
  readonly env: Record<string, string | undefined>;
  readonly versions?: { readonly node?: string };
  getBuiltinModule?(name: string): Record<string, unknown>;
}
const nodeProcess = (): NodeProcess | undefined =>
  typeof process === "undefined" ? undefined : (process as unknown as NodeProcess);

const reason = (error: unknown): string =>
  (error instanceof Error ? error.message : String(error)).split("\n")[0] as string;

/** Which of the ways to fail this is, and what to do about it. */
function explain(error: unknown): TiltedError {
  if (error instanceof TiltedError) return error;
  const { code } = error as { code?: unknown };
  const message = error instanceof Error ? error.message : String(error);
  const because = `(${reason(error)})`;
  const say = (text: string) => new TiltedError("engine", `node-gpu: ${text} ${because}`, { cause: error });
  if (/tfjs_binding\.node|node-pre-gyp/.test(message)) {
    return say(
      `${PACKAGE} is installed, but its native addon is not: its install script was blocked or failed. ` +
        `Allow it and run \`npm rebuild ${PACKAGE}\`, with network access to download libtensorflow`,
    );
  }
  if (code === "ERR_DLOPEN_FAILED" || /cannot open shared object|dlopen|GLIBC|\.dll|libtensorflow/.test(message)) {
    return say(`${PACKAGE} is installed, but its native addon cannot be loaded; it needs ${REQUIREMENTS}`);
  }
  // A bundler puts an error of its own in the place of an optional peer that it did not find.
  const absent = code === "ERR_MODULE_NOT_FOUND" || code === "MODULE_NOT_FOUND" || /Could not resolve/.test(message);
  if (absent && message.includes(PACKAGE)) {
    return say(
      `${PACKAGE} is not installed: run \`npm install ${PACKAGE}@${VERSION}\` (it is an optional peer; it needs ${REQUIREMENTS}), ` +
        'or use the embedded engine, useEngine("wasm")',
    );
  }
  return say(
    `${PACKAGE} is installed, but failed to start on Node ${nodeProcess()?.versions?.node ?? "?"}; it was made for ${VERSION}`,
  );
}

/** Functions of `util` that tfjs-node calls: the first gone since Node 23, both deprecated, with a printed warning, before they go. */
function restoreUtil(node: NodeProcess): void {
  const util = node.getBuiltinModule?.("util");
  if (util === undefined) return;
  util.isNullOrUndefined = (value: unknown) => value === null || value === undefined;
  util.isArray = Array.isArray;
}

/** Runs `body` with TensorFlow's native info log turned off; it reads the environment when it is loaded. */
async function withoutNativeLog<T>(node: NodeProcess, body: () => Promise<T>): Promise<T> {
  const before = node.env.TF_CPP_MIN_LOG_LEVEL;
  node.env.TF_CPP_MIN_LOG_LEVEL = before ?? "1";
  try {
    return await body();
  } finally {
    if (before === undefined) delete node.env.TF_CPP_MIN_LOG_LEVEL;
  }
}

async function load(node: NodeProcess, options: NodeGpuOptions): Promise<EngineInfo> {
  restoreUtil(node);
  await withoutNativeLog(node, () => withSuppressedLogs(options.load ?? importPeer));
  if (tf.findBackendFactory(BACKEND) === null) {
    fail(
      "engine",
      `node-gpu: ${PACKAGE} registered no "${BACKEND}" backend: is there a second copy of @tensorflow/tfjs-core?`,
    );
  }
  const { result: started, messages } = await withSuppressedLogs(() => tf.setBackend(BACKEND));
  if (!started) throw new Error(messages.join(" ") || "its backend did not start");
  // Some faults, such as a missing util function, show only when an op runs.
  await withSuppressedLogs(async () => tf.tidy(() => tf.add(1, 1).dataSync()));
  const gpu = (tf.backend() as unknown as { isUsingGpuDevice?: boolean }).isUsingGpuDevice === true;
  const note = `node-gpu: the GPU is not used: TensorFlow found none and runs on the CPU; it needs ${REQUIREMENTS}`;
  const os = node.getBuiltinModule?.("os") as { availableParallelism?(): number } | undefined;
  // Without a GPU, TensorFlow shares a product among as many threads as the machine has to offer.
  const threads = gpu ? 1 : (os?.availableParallelism?.() ?? 1);
  return { name: "node-gpu", threads, simd: true, gpu, ...(gpu ? {} : { note }) };
}

/**
 * Starts the node-gpu engine.
 *
 * @throws `engine`: not installed, its addon not built or not loadable, or not able to run. The backend that was active
 * before is active again.
 */
export async function startNodeGpu(options: NodeGpuOptions = {}): Promise<EngineInfo> {
  const node = nodeProcess();
  if (node?.versions?.node === undefined) {
    return fail("engine", 'node-gpu runs in Node only; use useEngine("wasm") in a browser');
  }
  const before = tf.getBackend();
  try {
    return await load(node, options);
  } catch (error) {
    if (before && before !== BACKEND) await tf.setBackend(before);
    throw explain(error);
  }
}
