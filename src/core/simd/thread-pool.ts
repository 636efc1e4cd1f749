/**
 * A thread pool for short SIMD loops. A job is split into parts that depend on nothing but their number, and the thread that submits
 * it takes parts like any worker. So the result is the same with workers, without them, and after one has died, and nothing waits for
 * workers to start.
 */
import { nodeModule } from "../node.ts";
import { compile, isShared, link, type WasmFunction } from "./assembler.ts";
import { MAX_JOBS, QUEUE_BYTES, SUBMITTED, WORKER_SOURCE, WORKERS } from "./job-queue.ts";
import { createJobSlot, type JobSlot, type LinkedModule, type Queue } from "./job-slot.ts";

/** A memory, and the threads that work in it. */
export interface ThreadPool {
  readonly memory: WebAssembly.Memory;
  /** Whether a thread beside this one is running. */
  hasWorkers(): boolean;
  /** The address of memory that is the caller's until the pool is gone. Views of the memory end when it has to grow. */
  allocate(bytes: number): number;
  link(functions: readonly WasmFunction[]): LinkedModule;
  /** A slot that is the caller's until the pool is gone; undefined when there is none left. */
  acquireSlot(): JobSlot | undefined;
  /**
   * Ends the workers. Submitted jobs are completed by this thread; further jobs belong in another pool, as an ended worker may still
   * be writing.
   */
  shutDown(): void;
  isShutDown(): boolean;
}

const PAGE = 65536;
/** Address space of a shared memory, in pages; pages that were not asked for take no memory. */
const MAX_PAGES = 1024;
const CACHE_LINE = 64;
/** Workers beside this thread: loops as short as these gain little from more. */
const MAX_WORKERS = 3;
/** Parts, some twenty milliseconds of work, after which workers are started: work that comes once does not pay for their start. */
const PARTS_BEFORE_START = 1500;
/** Fewer parts are done before a sleeping worker has woken. */
const MIN_PARTS_TO_WAKE = 8;

/** Workers that this machine can run: none in a page, whose main thread must not block. */
function availableWorkers(): number {
  if (typeof SharedArrayBuffer === "undefined" || typeof process === "undefined" || typeof document !== "undefined")
    return 0;
  if (process.getBuiltinModule?.("node:worker_threads") === undefined) return 0;
  return Math.min(MAX_WORKERS, nodeModule("node:os", "a pool").availableParallelism() - 1);
}

/** A worker thread; modules for it go through the port. */
interface PoolWorker {
  readonly port: { postMessage(message: unknown): void };
  readonly end: () => void;
}

function startWorker(memory: WebAssembly.Memory, onExit: (worker: PoolWorker) => void): PoolWorker {
  const { Worker, MessageChannel } = nodeModule("node:worker_threads", "a thread pool");
  const { port1, port2 } = new MessageChannel();
  const workerData = { memory, port: port2 };
  // Flags and environment of the process are not for it: they may load loaders, profilers and the like.
  const options = { eval: true, workerData, transferList: [port2], execArgv: [], env: {}, name: "tilted pool worker" };
  const thread = new Worker(WORKER_SOURCE, options);
  const worker: PoolWorker = { port: port1, end: () => void thread.terminate() };
  port1.unref();
  thread.unref();
  thread.on("error", () => onExit(worker));
  thread.on("exit", () => onExit(worker));
  return worker;
}

/**
 * A pool of the caller's own.
 *
 * @param maxWorkers - 0 gives a memory that is not shared.
 * @param partsBeforeStart - Parts to be submitted before workers are started.
 */
export function createThreadPool(
  maxWorkers: number = availableWorkers(),
  partsBeforeStart: number = PARTS_BEFORE_START,
): ThreadPool {
  const initial = Math.ceil(QUEUE_BYTES / PAGE);
  const memory = new WebAssembly.Memory(maxWorkers > 0 ? { initial, maximum: MAX_PAGES, shared: true } : { initial });
  const mayShare = isShared(memory);
  let used = Math.ceil(QUEUE_BYTES / CACHE_LINE) * CACHE_LINE;
  const modules: { readonly module: WebAssembly.Module; readonly names: readonly string[] }[] = [];
  const workers = new Set<PoolWorker>();
  let [slots, submittedParts, started, isShutDown] = [0, 0, false, false];

  const shutDown = (): void => {
    isShutDown = true;
    for (const worker of workers) worker.end();
    workers.clear();
  };
  /** Workers are started once there has been enough work to expect more of it. */
  const startWorkers = (): void => {
    if (started || isShutDown || !mayShare || submittedParts < partsBeforeStart) return;
    started = true;
    try {
      for (let i = 0; i < maxWorkers; i++) {
        const worker = startWorker(memory, (exited) => workers.delete(exited));
        workers.add(worker);
        for (const message of modules) worker.port.postMessage(message);
      }
    } catch {
      shutDown();
    }
  };

  const queue: Queue = {
    words: new Int32Array(memory.buffer),
    numbers: new Float64Array(memory.buffer),
    jobs: 0,
    workers,
    shutDown,
    announce(parts) {
      submittedParts += parts;
      startWorkers();
      if (workers.size === 0 || parts < MIN_PARTS_TO_WAKE) return;
      Atomics.add(queue.words, SUBMITTED, 1);
      Atomics.notify(queue.words, SUBMITTED);
    },
  };

  return {
    memory,
    hasWorkers: () => workers.size > 0 && Atomics.load(queue.words, WORKERS) > 0,
    allocate(bytes) {
      const at = used;
      used += Math.ceil(bytes / CACHE_LINE) * CACHE_LINE;
      const missing = Math.ceil((used - memory.buffer.byteLength) / PAGE);
      if (missing > 0) {
        memory.grow(missing);
        queue.words = new Int32Array(memory.buffer);
        queue.numbers = new Float64Array(memory.buffer);
      }
      return at;
    },
    link(functions) {
      const module = compile(functions, memory);
      const linked = { index: modules.length, names: functions.map(({ name }) => name), run: link(module, memory) };
      const message = { module, names: linked.names };
      modules.push(message);
      for (const { port } of workers) port.postMessage(message);
      return linked;
    },
    acquireSlot: () => (slots < MAX_JOBS ? createJobSlot(queue, slots++) : undefined),
    shutDown,
    isShutDown: () => isShutDown,
  };
}

let shared: ThreadPool | undefined;

/** The pool of this thread; undefined where there is no memory for one. One that was shut down is followed by one without workers. */
export function threadPool(): ThreadPool | undefined {
  try {
    if (shared === undefined) shared = createThreadPool();
    else if (shared.isShutDown()) shared = createThreadPool(0);
  } catch {
    return undefined;
  }
  return shared;
}
