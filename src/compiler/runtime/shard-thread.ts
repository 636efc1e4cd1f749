/**
 * Threads for synchronous runs: each runs native sessions of ONNX Runtime on memory shared with its caller, and blocks between runs. A run sends
 * no message: the caller writes the inputs, notifies the thread by an atomic, runs its own shard, and waits for another atomic.
 *
 * One pool for the process: threads are started when first needed, keep no process alive and end with it.
 */
import { fail } from "../../core/errors.ts";
import { nodeModule } from "../../core/node.ts";
import { sizeOf } from "../../core/shape.ts";
import type { NumericArray } from "../ir/node.ts";
import { ARRAYS, type Arrays, type TypedPort } from "./ports.ts";
import type { PortableProgram } from "./session.ts";
import { NO_SESSION, SHARD_THREAD_SOURCE, WORDS } from "./shard-thread-source.ts";

/** Milliseconds of one wait; waits are counted, as a clock goes on while a process is stopped. */
const WAIT = 100;

/** A program loaded in a thread. */
export interface ThreadProgram {
  /** Shared with the thread: written before `start`. */
  readonly inputs: Arrays;
  /** Shared with the thread: overwritten by the next run. */
  readonly outputs: Arrays;
  /** Begins a run, of a repeated step with so many iterations: the first rows of its slices and of what it collects count. */
  start(steps: number): void;
  /** Waits for the end of the run, at most so many milliseconds. False when there was none or it failed: the outputs mean nothing then. */
  finish(timeout: number): boolean;
  release(): void;
}

interface Thread {
  load(program: PortableProgram, fixed: Arrays): Promise<ThreadProgram>;
  /** Whether it ended, or did not answer in time. */
  lost(): boolean;
  /** Number of sessions loaded in it. */
  sessions(): number;
  end(): Promise<void>;
}

/** Zeros in memory that threads share. */
function shared({ type, shape }: TypedPort): NumericArray {
  const { BYTES_PER_ELEMENT } = ARRAYS[type];
  const On = ARRAYS[type] as new (buffer: ArrayBufferLike) => NumericArray;
  return new On(new SharedArrayBuffer(sizeOf(shape) * BYTES_PER_ELEMENT));
}

/** A started thread: messages to it, and the words that it shares. */
interface Channel {
  readonly words: Int32Array;
  /** Has a command executed; gives its request. Where `answer` is given, the thread is awaited and keeps the process alive meanwhile. */
  send(
    command: { readonly command: string; readonly id: number },
    answer?: (error: string | undefined) => void,
  ): number;
  /** Wakes the thread; gives the number of the request. */
  notify(): number;
  lost(): boolean;
  /** Marks the thread as lost: pending requests fail. */
  lose(why: string): void;
  end(): Promise<void>;
}

function startWorker(): Channel {
  const { Worker } = nodeModule("node:worker_threads", "a shard of a compiled program");
  const { createRequire } = nodeModule("node:module", "a shard of a compiled program");
  const { resolve } = createRequire(import.meta.url);
  const words = new Int32Array(new SharedArrayBuffer(Object.keys(WORDS).length * Int32Array.BYTES_PER_ELEMENT));
  words[WORDS.session] = NO_SESSION;
  const packages = { tensors: resolve("onnxruntime-node"), native: resolve("onnxruntime-node/dist/binding.js") };
  // Without what the process was started with: loaders of TypeScript and the like have nothing to do there.
  const worker = new Worker(SHARD_THREAD_SOURCE, { eval: true, workerData: { words, packages }, execArgv: [] });
  worker.unref();
  const waiting = new Map<number, (error: string | undefined) => void>();
  const settle = (id: number, error: string | undefined) => {
    const answer = waiting.get(id);
    waiting.delete(id);
    if (waiting.size === 0) worker.unref();
    answer?.(error);
  };
  let lost = false;
  const lose = (why: string) => {
    lost = true;
    for (const id of [...waiting.keys()]) settle(id, why);
  };
  worker.on("error", (error) => lose(String(error)));
  worker.on("exit", (code) => lose(`it ended with code ${code}`));
  worker.on("message", ({ id, error }: { readonly id: number; readonly error?: string }) => settle(id, error));
  const notify = () => {
    const request = Atomics.add(words, WORDS.requests, 1) + 1;
    Atomics.notify(words, WORDS.requests);
    return request;
  };
  return {
    words,
    send(command, answer) {
      if (answer !== undefined) {
        worker.ref();
        waiting.set(command.id, answer);
      }
      worker.postMessage(command);
      return notify();
    },
    notify,
    lost: () => lost,
    lose,
    end: async () => void (await worker.terminate()),
  };
}

/** Whether a request was done well within so many milliseconds; a thread that was not in time is lost. */
function awaitRequest({ words, lose, end }: Channel, request: number, timeout: number): boolean {
  for (let waits = Math.ceil(timeout / WAIT); waits >= 0; ) {
    const done = Atomics.load(words, WORDS.done);
    if (done >= request) return Atomics.load(words, WORDS.failed) === 0;
    if (Atomics.wait(words, WORDS.done, done, WAIT) === "timed-out") waits--;
  }
  lose("it did not answer");
  void end();
  return false;
}

function startThread(): Thread {
  const channel = startWorker();
  const { words, lost } = channel;
  let next = 0;
  return {
    async load({ model, options, inputs, outputs }, fixed) {
      if (lost()) return fail("engine", "the thread of a shard ended");
      const id = next++;
      const share = (ports: readonly TypedPort[]) => ports.map((port) => ({ ...port, shared: shared(port) }));
      const [ins, outs] = [share(inputs.filter(({ name }) => fixed[name] === undefined)), share(outputs)];
      const known = inputs.flatMap((port) => {
        const array = fixed[port.name];
        return array === undefined ? [] : [{ ...port, array }];
      });
      await new Promise<void>((resolve, reject) => {
        const command = { command: "load", id, model, options, inputs: ins, outputs: outs, fixed: known };
        channel.send(command, (error) => (error === undefined ? resolve() : reject(new Error(error))));
      });
      const arrays = (ports: typeof ins) => Object.fromEntries(ports.map((port) => [port.name, port.shared]));
      let awaited: number | undefined;
      return {
        inputs: arrays(ins),
        outputs: arrays(outs),
        start(steps) {
          if (lost()) return;
          Atomics.store(words, WORDS.steps, steps);
          Atomics.store(words, WORDS.session, id);
          awaited = channel.notify();
        },
        finish(timeout) {
          const request = awaited;
          awaited = undefined;
          return request !== undefined && !lost() && awaitRequest(channel, request, timeout);
        },
        release() {
          if (!lost()) channel.send({ command: "release", id });
        },
      };
    },
    lost,
    sessions: () => Atomics.load(words, WORDS.held),
    end: channel.end,
  };
}

const threads: Thread[] = [];

/** The first `count` threads of the pool; those that are lost are started again. They load programs as soon as they run. */
export function shardThreads(count: number): readonly Thread[] {
  for (let i = 0; i < count; i++) if (threads[i]?.lost() !== false) threads[i] = startThread();
  return threads.slice(0, count);
}

/** Number of sessions loaded in all threads. */
export const sessionsInThreads = (): number =>
  threads.reduce((sum, thread) => sum + (thread.lost() ? 0 : thread.sessions()), 0);

/** Ends all threads. Programs loaded there run in their callers from then on. */
export async function endThreads(): Promise<void> {
  await Promise.all(threads.splice(0).map((thread) => thread.end()));
}
