/**
 * Threads for the wasm engine, on request. In Node tfjs turns them off because its loader is written for browsers: it gives a worker
 * its program as an object URL of a Blob. While the engine starts, this file patches Blob, Worker and createObjectURL: Blobs keep
 * their text, and a worker gets it as source code. It depends on the layout of tfjs-backend-wasm 4.22, so any failure means a start
 * without threads, never an error.
 */
import * as tf from "@tensorflow/tfjs-core";

/** A worker that has not started by then will not. */
const START_LIMIT_MS = 10_000;

/** tfjs's switch for its loader with threads. */
const MULTITHREAD_FLAG = "WASM_HAS_MULTITHREAD_SUPPORT";

/** Whether `start` succeeds within the limit: a loader whose workers fail waits for them for ever. */
export async function startWithTimeout(start: () => Promise<boolean>): Promise<boolean> {
  let limit: ReturnType<typeof setTimeout> | undefined;
  const timeout = new Promise<boolean>((resolve) => {
    limit = setTimeout(() => resolve(false), START_LIMIT_MS);
  });
  const started = await Promise.race([start().catch(() => false), timeout]);
  clearTimeout(limit);
  return started;
}

/** Starts the engine with the single-threaded loader, whatever the page allows: not every bundler can pack the other. */
export function withoutThreads(start: () => Promise<boolean>): Promise<boolean> {
  tf.env().set(MULTITHREAD_FLAG, false);
  return start();
}

type Construct = new (...args: never[]) => object;
interface Replaceable {
  [name: string]: unknown;
}

/** Replaces properties of objects while `body` runs. */
async function withReplaced<T>(
  places: readonly (readonly [Replaceable, string, unknown])[],
  body: () => Promise<T>,
): Promise<T> {
  const before = places.map(([object, name]) => [object, name, name in object, object[name]] as const);
  for (const [object, name, value] of places) object[name] = value;
  try {
    return await body();
  } finally {
    for (const [object, name, existed, value] of before) {
      if (existed) object[name] = value;
      else delete object[name];
    }
  }
}

/** The names that the bundler gave to Node's modules, which the program of a worker refers to. */
const PRELUDE = `
var require$$0 = require("fs"), require$$1 = require("path"), require$$3 = require("perf_hooks"), require$$4 = require("os");
var commonjsGlobal = globalThis, _scriptDir = "";
Object.assign(globalThis, { require$$0, require$$1, require$$3, require$$4, commonjsGlobal, _scriptDir });
`;
/** `importScripts` that runs the text itself instead of fetching it. */
const IMPORT_TEXT = "\nglobalThis.importScripts = (text) => (0, eval)(text);\n";

/** A class derived from Node's Worker that accepts the addresses and messages of tfjs's loader. */
function workerClass(
  NodeWorker: Construct,
  texts: ReadonlyMap<string, string>,
  textOf: (blob: unknown) => string | undefined,
) {
  const Base = NodeWorker as unknown as new (
    source: string,
    options: { eval: true },
  ) => {
    postMessage(message: unknown, transfer?: unknown): void;
    unref(): void;
  };
  return class extends Base {
    constructor(address: string) {
      super(PRELUDE + (texts.get(address) ?? "") + IMPORT_TEXT, { eval: true });
      super.unref();
    }
    /** The loader wants its threads to keep the process alive; a library must not. */
    ref(): void {
      // Stays unreferenced.
    }
    override postMessage(message: { cmd?: string; urlOrBlob?: unknown }, transfer?: unknown): void {
      const text = message?.cmd === "load" ? textOf(message.urlOrBlob) : undefined;
      super.postMessage(text === undefined ? message : { ...message, urlOrBlob: text }, transfer);
    }
  };
}

/**
 * Starts the engine with threads.
 *
 * @param start starts it, with the number of threads already set.
 * @returns whether it runs with threads; if not, nothing has started.
 */
export async function withNodeThreads(threads: number, start: () => Promise<boolean>): Promise<boolean> {
  const builtin = (name: string) => process.getBuiltinModule(name) as unknown as Replaceable;
  const [workers, os] = [builtin("worker_threads"), builtin("os")];
  const parts = new WeakMap<object, string>();
  const texts = new Map<string, string>();
  const NativeBlob = globalThis.Blob;
  class TextBlob extends NativeBlob {
    constructor(content: BlobPart[], options?: BlobPropertyBag) {
      super(content, options);
      parts.set(this, content.map(String).join(""));
    }
  }
  const address = (blob: Blob): string => {
    const name = `text:${texts.size}`;
    texts.set(name, parts.get(blob) ?? "");
    return name;
  };
  const textOf = (blob: unknown) => (typeof blob === "object" && blob !== null ? parts.get(blob) : undefined);
  const cpus = (os.cpus as () => object[])();
  tf.env().set(MULTITHREAD_FLAG, true);
  const started = await withReplaced(
    [
      [globalThis as unknown as Replaceable, "Blob", TextBlob],
      [globalThis as unknown as Replaceable, "Worker", undefined],
      [URL as unknown as Replaceable, "createObjectURL", address],
      [workers, "Worker", workerClass(workers.Worker as Construct, texts, textOf)],
      // The loader takes half of what it finds.
      [os, "cpus", () => Array.from({ length: 2 * threads }, () => cpus[0])],
    ],
    () => startWithTimeout(start),
  );
  if (!started) tf.env().set(MULTITHREAD_FLAG, false);
  return started;
}
