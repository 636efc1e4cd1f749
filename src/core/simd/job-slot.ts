/** One slot of the job queue, seen from the thread that submits: it writes a job, runs parts itself, and waits for the others. */
import type { WasmExports } from "./assembler.ts";
import {
  CALLS,
  callNumber,
  DONE,
  MAX_ARGS,
  MAX_CALLS,
  MAX_PARTS,
  MODULE,
  NEXT,
  PART_BITS,
  PART_MASK,
  PARTS,
  slotWord,
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

/** The queue's memory and workers. */
export interface Queue {
  /** Views of the memory; they change when it grows. */
  words: Int32Array;
  numbers: Float64Array;
  /** Jobs submitted so far. */
  jobs: number;
  readonly workers: { readonly size: number };
  /** Ends the workers. */
  shutDown(): void;
  /** A job of so many parts is in the queue: wakes workers, or starts them where that pays. */
  announce(parts: number): void;
}

/** Reads of a flag that a worker has yet to set, before this thread sleeps between reads. */
const MAX_SPINS = 20_000;
/** Sleep between reads, and how long a worker may take for a part (microseconds of work) until it is given up. */
const [SLEEP_MS, LIMIT_MS] = [1, 1000];

/** Writes a job into slot `slot`; its parts can be claimed from then on. */
function writeJob(queue: Queue, slot: number, loops: LinkedModule, calls: readonly LoopCall[], parts: number): void {
  const { words, numbers } = queue;
  const at = slotWord(slot);
  words.fill(0, at + DONE, at + DONE + parts);
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
  Atomics.store(words, at + PARTS, parts);
  Atomics.store(words, at + NEXT, ++queue.jobs << PART_BITS);
}

export function createJobSlot(queue: Queue, slot: number): JobSlot {
  const at = slotWord(slot);
  let loopCalls: readonly (readonly [(...args: number[]) => void, LoopCall])[] = [];
  let [parts, finished] = [0, 0];
  const run = (part: number): void => {
    for (const [loop, { args, strides }] of loopCalls)
      loop(...args.map((arg, i) => arg + part * (strides[i] as number)));
    Atomics.store(queue.words, at + DONE + part, 1);
  };
  const isDone = (part: number): boolean => Atomics.load(queue.words, at + DONE + part) === 1;
  /** Waits for a part that a worker has claimed; runs it here when the worker does not deliver. */
  const waitForPart = (part: number): void => {
    for (let i = 0; i < MAX_SPINS; i++) if (isDone(part)) return;
    const began = performance.now();
    while (!isDone(part)) {
      if (queue.workers.size > 0 && performance.now() - began < LIMIT_MS) {
        Atomics.wait(queue.words, at + DONE + part, 0, SLEEP_MS);
        continue;
      }
      if (queue.workers.size > 0) queue.shutDown();
      run(part);
    }
  };
  /** Claims the next part and runs it, if it is below `below`. */
  const runNextPart = (below: number): boolean => {
    const next = Atomics.load(queue.words, at + NEXT);
    const part = next & PART_MASK;
    if (part >= Math.min(below, parts)) return false;
    if (Atomics.compareExchange(queue.words, at + NEXT, next, next + 1) === next) run(part);
    return true;
  };
  const cancel = (): void => {
    const next = Atomics.load(queue.words, at + NEXT);
    const claimed = Atomics.exchange(queue.words, at + NEXT, (next & ~PART_MASK) | PART_MASK) & PART_MASK;
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
      writeJob(queue, slot, loops, calls, count);
      queue.announce(count);
    },
    wait(until = parts) {
      const wanted = Math.min(until, parts);
      while (runNextPart(wanted));
      for (; finished < wanted; finished++) waitForPart(finished);
    },
  };
}
