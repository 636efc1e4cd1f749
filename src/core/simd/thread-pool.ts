/**
 * A thread pool for short SIMD loops. A job is split into parts that depend on nothing but their number, and the thread that submits
 * it takes parts like any worker. So the result is the same with workers, without them, and after one has died, and nothing waits for
 * workers to start.
 */
import { nodeModule } from "../node.ts";
import { compile, isShared, link, type WasmExports, type WasmFunction } from "./assembler.ts";
import {
  CALLS,
  callNumber,
  DONE,
  MAX_ARGS,
  MAX_CALLS,
  MAX_JOBS,
  MAX_PARTS,
  MODULE,
  NEXT,
  PART_BITS,
  PART_MASK,
  PARTS,
  QUEUE_BYTES,
  SUBMITTED,
  slotWord,
  WORKER_SOURCE,
  WORKERS,
} from "./job-queue.ts";

/** A loop of a job. Part i calls it with args + i · strides. */
export interface LoopCall {
  readonly name: string;
  readonly args: readonly number[];
  readonly strides: readonly number[];
}

/** A module linked to the memory of a pool. */
export interface LinkedModule {
  readonly index: number;
  readonly names: readonly string[];
  readonly run: WasmExports;
}

/** A slot of the queue: holds one job at a time. */
export interface JobSlot {
  /** Submits a job; the slot's last one is cancelled. */
  submit(loops: LinkedModule, calls: readonly LoopCall[], parts: number): void;
  /** Runs parts on this thread too, and returns when the first `parts` parts, by default all, are done. */
  wait(parts?: number): void;
  /** Parts that no thread has claimed are not run any more; returns when those under way are done. */
  cancel(): void;
}

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
/** Reads of a flag that a worker has yet to set, before this thread sleeps between reads. */
const MAX_SPINS = 20_000;
/** Sleep between reads, and how long a worker may take for a part (microseconds of work) until it is given up. */
const [SLEEP_MS, LIMIT_MS] = [1, 1000];

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
  let words = new Int32Array(memory.buffer);
  let numbers = new Float64Array(memory.buffer);
  let used = Math.ceil(QUEUE_BYTES / CACHE_LINE) * CACHE_LINE;
  const modules: { readonly module: WebAssembly.Module; readonly names: readonly string[] }[] = [];
  const workers = new Set<PoolWorker>();
  let [slots, jobs, submittedParts, started, isShutDown] = [0, 0, 0, false, false];

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

  const createSlot = (at: number, slot: number): JobSlot => {
    let loopCalls: readonly (readonly [(...args: number[]) => void, LoopCall])[] = [];
    let [parts, finished] = [0, 0];
    const run = (part: number): void => {
      for (const [loop, { args, strides }] of loopCalls)
        loop(...args.map((arg, i) => arg + part * (strides[i] as number)));
      Atomics.store(words, at + DONE + part, 1);
    };
    const isDone = (part: number): boolean => Atomics.load(words, at + DONE + part) === 1;
    /** Waits for a part that a worker has claimed; runs it here when the worker does not deliver. */
    const waitForPart = (part: number): void => {
      for (let i = 0; i < MAX_SPINS; i++) if (isDone(part)) return;
      const began = performance.now();
      while (!isDone(part)) {
        if (workers.size > 0 && performance.now() - began < LIMIT_MS) {
          Atomics.wait(words, at + DONE + part, 0, SLEEP_MS);
          continue;
        }
        if (workers.size > 0) shutDown();
        run(part);
      }
    };
    /** Claims the next part and runs it, if it is below `below`. */
    const runNextPart = (below: number): boolean => {
      const next = Atomics.load(words, at + NEXT);
      const part = next & PART_MASK;
      if (part >= Math.min(below, parts)) return false;
      if (Atomics.compareExchange(words, at + NEXT, next, next + 1) === next) run(part);
      return true;
    };
    const cancel = (): void => {
      const next = Atomics.load(words, at + NEXT);
      const claimed = Atomics.exchange(words, at + NEXT, (next & ~PART_MASK) | PART_MASK) & PART_MASK;
      for (let part = 0; part < Math.min(claimed, parts); part++) waitForPart(part);
      parts = 0;
    };
    return {
      cancel,
      submit(loops, calls, count) {
        if (count > MAX_PARTS || calls.length > MAX_CALLS || calls.some(({ args }) => args.length > MAX_ARGS))
          throw new RangeError(`a job of ${count} parts does not fit the queue`);
        cancel();
        loopCalls = calls.map((call) => [loops.run[call.name] as (...args: number[]) => void, call]);
        [parts, finished] = [count, 0];
        words.fill(0, at + DONE, at + DONE + count);
        words[at + MODULE] = loops.index;
        words[at + CALLS] = calls.length;
        calls.forEach(({ name, args, strides }, c) => {
          const from = callNumber(slot, c);
          numbers[from] = loops.names.indexOf(name);
          numbers[from + 1] = args.length;
          args.forEach((arg, i) => {
            numbers[from + 2 + 2 * i] = arg;
            numbers[from + 3 + 2 * i] = strides[i] as number;
          });
        });
        Atomics.store(words, at + PARTS, count);
        Atomics.store(words, at + NEXT, ++jobs << PART_BITS);
        submittedParts += count;
        startWorkers();
        if (workers.size === 0 || count < MIN_PARTS_TO_WAKE) return;
        Atomics.add(words, SUBMITTED, 1);
        Atomics.notify(words, SUBMITTED);
      },
      wait(until = parts) {
        const wanted = Math.min(until, parts);
        while (runNextPart(wanted));
        for (; finished < wanted; finished++) waitForPart(finished);
      },
    };
  };

  return {
    memory,
    hasWorkers: () => workers.size > 0 && Atomics.load(words, WORKERS) > 0,
    allocate(bytes) {
      const at = used;
      used += Math.ceil(bytes / CACHE_LINE) * CACHE_LINE;
      const missing = Math.ceil((used - memory.buffer.byteLength) / PAGE);
      if (missing > 0) {
        memory.grow(missing);
        words = new Int32Array(memory.buffer);
        numbers = new Float64Array(memory.buffer);
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
    acquireSlot: () => (slots < MAX_JOBS ? createSlot(slotWord(slots), slots++) : undefined),
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
