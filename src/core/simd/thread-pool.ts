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

/** What a worker is told of a module. */
interface ModuleMessage {
  readonly module: WebAssembly.Module;
  readonly names: readonly string[];
}

/** The workers of a pool. */
interface PoolWorkers {
  /** Those that run. */
  readonly running: ReadonlySet<PoolWorker>;
  /** Starts them, the first time it is called. */
  start(): void;
  /** Tells the workers of a module, also those started later; gives its index. */
  addModule(message: ModuleMessage): number;
  shutDown(): void;
  isShutDown(): boolean;
}

function createWorkers(memory: WebAssembly.Memory, count: number): PoolWorkers {
  const running = new Set<PoolWorker>();
  const modules: ModuleMessage[] = [];
  let [started, isShutDown] = [false, false];
  const shutDown = (): void => {
    isShutDown = true;
    for (const worker of running) worker.end();
    running.clear();
  };
  return {
    running,
    start() {
      if (started || isShutDown) return;
      started = true;
      try {
        for (let i = 0; i < count; i++) {
          const worker = startWorker(memory, (exited) => running.delete(exited));
          running.add(worker);
          for (const message of modules) worker.port.postMessage(message);
        }
      } catch {
        shutDown();
      }
    },
    addModule(message) {
      for (const { port } of running) port.postMessage(message);
      return modules.push(message) - 1;
    },
    shutDown,
    isShutDown: () => isShutDown,
  };
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
  const workers = createWorkers(memory, isShared(memory) ? maxWorkers : 0);
  const { running, shutDown, isShutDown } = workers;
  let used = Math.ceil(QUEUE_BYTES / CACHE_LINE) * CACHE_LINE;
  let [slots, submittedParts] = [0, 0];

  const queue: Queue = {
    words: new Int32Array(memory.buffer),
    numbers: new Float64Array(memory.buffer),
    jobs: 0,
    workers: running,
    shutDown,
    announce(parts) {
      submittedParts += parts;
      // Once there has been enough work to expect more of it.
      if (submittedParts >= partsBeforeStart) workers.start();
      if (running.size === 0 || parts < MIN_PARTS_TO_WAKE) return;
      Atomics.add(queue.words, SUBMITTED, 1);
      Atomics.notify(queue.words, SUBMITTED);
    },
  };

  return {
    memory,
    hasWorkers: () => running.size > 0 && Atomics.load(queue.words, WORKERS) > 0,
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
      const names = functions.map(({ name }) => name);
      const run = link(module, memory);
      return { index: workers.addModule({ module, names }), names, run };
    },
    acquireSlot: () => (slots < MAX_JOBS ? createJobSlot(queue, slots++) : undefined),
    shutDown,
    isShutDown,
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
