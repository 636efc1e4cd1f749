/**
 * Loops on several threads. A job is cut into parts that depend on nothing but their number, and the thread that wrote it up takes parts
 * like any other: what comes out is the same with helpers, without, and with one that died. Nothing waits for helpers to come.
 */
import { nodeModule } from "../node.ts";
import { compile, isShared, link, type WasmExports, type WasmFunction } from "./assembler.ts";
import {
  BOARD_BYTES,
  CALLS,
  callNumber,
  DONE,
  HELPER,
  HELPERS,
  MODULE,
  MOST_ARGS,
  MOST_CALLS,
  MOST_PARTS,
  NEXT,
  PART_BITS,
  PART_MASK,
  PARTS,
  SLOTS,
  slotWord,
  WRITTEN,
} from "./job-queue.ts";

/** A loop of a job. */
export interface Call {
  readonly name: string;
  /** For part 0. */
  readonly args: readonly number[];
  /** What each further part adds to them. */
  readonly steps: readonly number[];
}

/** Functions linked to the memory of a pool. */
export interface Linked {
  readonly index: number;
  readonly names: readonly string[];
  readonly run: WasmExports;
}

/** Room for one job at a time. */
export interface Slot {
  /** Writes up a job, in place of the last one. */
  start(loops: Linked, calls: readonly Call[], parts: number): void;
  /** Returns when the first `parts` parts, by default all, are done. */
  finish(parts?: number): void;
  /** Nobody takes parts of the job any more, and none is under way. */
  drop(): void;
}

/** A memory, and those who work in it. */
export interface ThreadPool {
  readonly memory: WebAssembly.Memory;
  /** Whether there is anyone beside this thread. */
  helped(): boolean;
  /** The address of memory that is the caller's from now on. Views of the memory end when it has to grow. */
  reserve(bytes: number): number;
  link(functions: readonly WasmFunction[]): Linked;
  /** A slot that is the caller's from now on; undefined when there is none left. */
  slot(): Slot | undefined;
  /** Ends the helpers. Work that is written up gets done; new work is for another pool, as a helper may not have stopped writing yet. */
  dismiss(): void;
  /** Whether it has been dismissed. */
  dismissed(): boolean;
}

const PAGE = 65536;
/** Address space of a memory that threads share, in pages; pages that nobody asked for take no memory. */
const MOST_PAGES = 1024;
const LINE = 64;
/** Helpers beside this thread: loops as short as these gain little from more. */
const MOST_HELPERS = 3;
/** Parts, some twenty milliseconds of work, from which on helpers are worth their start: work that comes once does not pay it. */
const WORTH_HELP = 1500;
/** Fewer parts are done before a sleeping helper has woken. */
const WORTH_WAKING = 8;
/** Looks at a part that a helper works on, before this thread sleeps between looks. */
const LOOKS = 20_000;
/** Sleep between looks, and how long a helper may take for a part, which is microseconds of work, until it is given up. */
const [SLEEP_MS, LIMIT_MS] = [1, 1000];

/** Threads of this machine that may help: none in a page, whose main thread must not wait. */
function helpersHere(): number {
  if (typeof SharedArrayBuffer === "undefined" || typeof process === "undefined" || typeof document !== "undefined")
    return 0;
  if (process.getBuiltinModule?.("node:worker_threads") === undefined) return 0;
  return Math.min(MOST_HELPERS, nodeModule("node:os", "a pool").availableParallelism() - 1);
}

/** A thread that helps: modules for it go through the port. */
interface Helper {
  readonly port: { postMessage(message: unknown): void };
  readonly end: () => void;
}

function startHelper(memory: WebAssembly.Memory, gone: (helper: Helper) => void): Helper {
  const { Worker, MessageChannel } = nodeModule("node:worker_threads", "a helper");
  const { port1, port2 } = new MessageChannel();
  const workerData = { memory, port: port2 };
  // Flags and environment of the process are not for it: they may load loaders, profilers and the like.
  const options = { eval: true, workerData, transferList: [port2], execArgv: [], env: {}, name: "tilted helper" };
  const thread = new Worker(HELPER, options);
  const helper: Helper = { port: port1, end: () => void thread.terminate() };
  port1.unref();
  thread.unref();
  thread.on("error", () => gone(helper));
  thread.on("exit", () => gone(helper));
  return helper;
}

/**
 * A pool of its own.
 *
 * @param most - Helpers at most; 0 for a memory that is not shared.
 */
export function createThreadPool(most: number = helpersHere(), worth: number = WORTH_HELP): ThreadPool {
  const initial = Math.ceil(BOARD_BYTES / PAGE);
  const memory = new WebAssembly.Memory(most > 0 ? { initial, maximum: MOST_PAGES, shared: true } : { initial });
  const mayShare = isShared(memory);
  let words = new Int32Array(memory.buffer);
  let numbers = new Float64Array(memory.buffer);
  let used = Math.ceil(BOARD_BYTES / LINE) * LINE;
  const modules: { readonly module: WebAssembly.Module; readonly names: readonly string[] }[] = [];
  const helpers = new Set<Helper>();
  let [slots, jobs, asked, hired, dismissed] = [0, 0, 0, false, false];

  const dismiss = (): void => {
    dismissed = true;
    for (const helper of helpers) helper.end();
    helpers.clear();
  };
  /** Helpers come when there has been enough work to think that there will be more. */
  const hire = (): void => {
    if (hired || dismissed || !mayShare || asked < worth) return;
    hired = true;
    try {
      for (let i = 0; i < most; i++) {
        const helper = startHelper(memory, (gone) => helpers.delete(gone));
        helpers.add(helper);
        for (const message of modules) helper.port.postMessage(message);
      }
    } catch {
      dismiss();
    }
  };

  const makeSlot = (at: number, slot: number): Slot => {
    let taken: readonly (readonly [(...args: number[]) => void, Call])[] = [];
    let [parts, settled] = [0, 0];
    const run = (part: number): void => {
      for (const [loop, { args, steps }] of taken) loop(...args.map((arg, i) => arg + part * (steps[i] as number)));
      Atomics.store(words, at + DONE + part, 1);
    };
    const isDone = (part: number): boolean => Atomics.load(words, at + DONE + part) === 1;
    /** Waits for a part that a helper has taken; does it itself when that does not come. */
    const settle = (part: number): void => {
      for (let i = 0; i < LOOKS; i++) if (isDone(part)) return;
      const began = performance.now();
      while (!isDone(part)) {
        if (helpers.size > 0 && performance.now() - began < LIMIT_MS) {
          Atomics.wait(words, at + DONE + part, 0, SLEEP_MS);
          continue;
        }
        if (helpers.size > 0) dismiss();
        run(part);
      }
    };
    /** Takes the next part, if it is below `below`. */
    const take = (below: number): boolean => {
      const next = Atomics.load(words, at + NEXT);
      const part = next & PART_MASK;
      if (part >= Math.min(below, parts)) return false;
      if (Atomics.compareExchange(words, at + NEXT, next, next + 1) === next) run(part);
      return true;
    };
    const drop = (): void => {
      const next = Atomics.load(words, at + NEXT);
      const closed = Atomics.exchange(words, at + NEXT, (next & ~PART_MASK) | PART_MASK) & PART_MASK;
      for (let part = 0; part < Math.min(closed, parts); part++) settle(part);
      parts = 0;
    };
    return {
      drop,
      start(loops, calls, count) {
        if (count > MOST_PARTS || calls.length > MOST_CALLS || calls.some(({ args }) => args.length > MOST_ARGS))
          throw new RangeError(`a job of ${count} parts does not fit the board`);
        drop();
        taken = calls.map((call) => [loops.run[call.name] as (...args: number[]) => void, call]);
        [parts, settled] = [count, 0];
        words.fill(0, at + DONE, at + DONE + count);
        words[at + MODULE] = loops.index;
        words[at + CALLS] = calls.length;
        calls.forEach(({ name, args, steps }, c) => {
          const from = callNumber(slot, c);
          numbers[from] = loops.names.indexOf(name);
          numbers[from + 1] = args.length;
          args.forEach((arg, i) => {
            numbers[from + 2 + 2 * i] = arg;
            numbers[from + 3 + 2 * i] = steps[i] as number;
          });
        });
        Atomics.store(words, at + PARTS, count);
        Atomics.store(words, at + NEXT, ++jobs << PART_BITS);
        asked += count;
        hire();
        if (helpers.size === 0 || count < WORTH_WAKING) return;
        Atomics.add(words, WRITTEN, 1);
        Atomics.notify(words, WRITTEN);
      },
      finish(until = parts) {
        const wanted = Math.min(until, parts);
        while (take(wanted));
        for (; settled < wanted; settled++) settle(settled);
      },
    };
  };

  return {
    memory,
    helped: () => helpers.size > 0 && Atomics.load(words, HELPERS) > 0,
    reserve(bytes) {
      const at = used;
      used += Math.ceil(bytes / LINE) * LINE;
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
      for (const { port } of helpers) port.postMessage(message);
      return linked;
    },
    slot: () => (slots < SLOTS ? makeSlot(slotWord(slots), slots++) : undefined),
    dismiss,
    dismissed: () => dismissed,
  };
}

let common: ThreadPool | undefined;

/** The pool of this thread; undefined where there is no memory for one. One whose helper was given up is followed by one without. */
export function threadPool(): ThreadPool | undefined {
  try {
    if (common === undefined) common = createThreadPool();
    else if (common.dismissed()) common = createThreadPool(0);
  } catch {
    return undefined;
  }
  return common;
}
