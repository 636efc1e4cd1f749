/**
 * Threads that answer at once: each runs native sessions of ONNX Runtime on memory that it shares with its caller, and sleeps in between.
 * Nothing is posted for a run: the caller writes the inputs, rings, does its own work, and waits for the answer.
 *
 * One pool for the process: threads are started when first needed, keep no process alive and end with it.
 */
import { fail } from "../../core/errors.ts";
import { nodeModule } from "../../core/node.ts";
import { sizeOf } from "../../core/shape.ts";
import type { NumericArray } from "../ir/node.ts";
import { ARRAYS, type PortableProgram, type TypedPort } from "./session.ts";

type Arrays = Readonly<Record<string, NumericArray>>;

/**
 * Words shared with a thread: rings so far, the ring answered last, the session to run or none, whether it failed, sessions held, and
 * iterations of the run.
 */
const [RINGS, ANSWERED, WANTED, FAILED, HELD, STEPS, WORDS] = [0, 1, 2, 3, 4, 5, 6];
const NONE = -1;

/** Milliseconds of one wait; waits are counted, as a clock goes on while a process is stopped. */
const WAIT = 100;

/**
 * What a thread does; it is started from this text, since a package has no file that is sure to be found. It never goes back to its event
 * loop: orders are fetched when it is rung. The runtime takes no shared memory, so the thread copies between that and arrays of its own.
 */
const THREAD = `
const { parentPort, workerData, receiveMessageOnPort } = require("node:worker_threads");
const { words, packages } = workerData;
const { Tensor } = require(packages.tensors);
const { binding, initOrt } = require(packages.native);
initOrt();
const sessions = new Map();
const tensorOf = ({ type, shape, array }) => new Tensor(type, array, shape);
const bound = (ports) => ports.map((port) => {
  const array = new port.shared.constructor(port.shared.length);
  array.set(port.shared);
  return { ...port, array };
});
const cut = ({ shape, shared, array, perStep, ...port }, steps) => {
  if (!perStep) return { ...port, shape, shared, array };
  const size = steps * (array.length / shape[0]);
  return { ...port, shape: [steps, ...shape.slice(1)], shared: shared.subarray(0, size), array: array.subarray(0, size) };
};
const byKey = (ports) => Object.fromEntries(ports.map((port) => [port.key, tensorOf(port)]));
const orders = {
  load({ id, model, options, inputs, outputs, fixed }) {
    const session = new binding.InferenceSession();
    session.loadModel(model.buffer, model.byteOffset, model.byteLength, options);
    sessions.set(id, { session, inputs: bound(inputs), outputs: bound(outputs), fixed: byKey(fixed), sized: new Map() });
  },
  release({ id }) {
    const held = sessions.get(id);
    sessions.delete(id);
    if (held) held.session.dispose();
  },
};
function sizedFor({ inputs, outputs, fixed, sized }, steps) {
  const known = sized.get(steps);
  if (known) return known;
  const [ins, outs] = [inputs, outputs].map((ports) => ports.map((port) => cut(port, steps)));
  const made = { ins, outs, feeds: { ...byKey(ins), ...fixed }, fetches: byKey(outs) };
  sized.set(steps, made);
  return made;
}
function run(id, steps) {
  const held = sessions.get(id);
  const { session } = held;
  const { ins, outs, feeds, fetches } = sizedFor(held, steps);
  for (const { array, shared } of ins) array.set(shared);
  session.run(feeds, fetches, {});
  for (const { array, shared } of outs) shared.set(array);
}
function follow({ order, ...what }) {
  let error;
  try {
    orders[order](what);
  } catch (cause) {
    error = String(cause && cause.message ? cause.message : cause);
  }
  Atomics.store(words, ${HELD}, sessions.size);
  parentPort.postMessage({ id: what.id, error });
}
for (let seen = 0; ; ) {
  Atomics.wait(words, ${RINGS}, seen);
  seen = Atomics.load(words, ${RINGS});
  for (let post; (post = receiveMessageOnPort(parentPort)); ) follow(post.message);
  const id = Atomics.exchange(words, ${WANTED}, ${NONE});
  if (id !== ${NONE}) {
    let failed = 0;
    try {
      run(id, Atomics.load(words, ${STEPS}));
    } catch {
      failed = 1;
    }
    Atomics.store(words, ${FAILED}, failed);
  }
  Atomics.store(words, ${ANSWERED}, seen);
  Atomics.notify(words, ${ANSWERED});
}
`;

/** A program loaded in a thread. */
export interface ThreadProgram {
  /** Shared with the thread: written before `start`. */
  readonly inputs: Arrays;
  /** Shared with the thread: overwritten by the next run. */
  readonly outputs: Arrays;
  /** Begins a run, of a repeated step with so many iterations: the first rows of its slices and of what it collects count. */
  start(steps: number): void;
  /** Waits for the end of the run, at most so many milliseconds. False when there was none or it failed: the outputs mean nothing then. */
  finish(patience: number): boolean;
  release(): void;
}

interface Thread {
  load(program: PortableProgram, fixed: Arrays): Promise<ThreadProgram>;
  /** Whether it ended, or did not answer in time. */
  lost(): boolean;
  /** Sessions that it holds. */
  held(): number;
  end(): Promise<void>;
}

/** Zeros in memory that threads share. */
function shared({ type, shape }: TypedPort): NumericArray {
  const { BYTES_PER_ELEMENT } = ARRAYS[type];
  const On = ARRAYS[type] as new (buffer: ArrayBufferLike) => NumericArray;
  return new On(new SharedArrayBuffer(sizeOf(shape) * BYTES_PER_ELEMENT));
}

function startThread(): Thread {
  const { Worker } = nodeModule("node:worker_threads", "a shard of a compiled program");
  const { createRequire } = nodeModule("node:module", "a shard of a compiled program");
  const { resolve } = createRequire(import.meta.url);
  const words = new Int32Array(new SharedArrayBuffer(WORDS * Int32Array.BYTES_PER_ELEMENT));
  words[WANTED] = NONE;
  const packages = { tensors: resolve("onnxruntime-node"), native: resolve("onnxruntime-node/dist/binding.js") };
  // Without what the process was started with: loaders of TypeScript and the like have nothing to do there.
  const thread = new Worker(THREAD, { eval: true, workerData: { words, packages }, execArgv: [] });
  const waiting = new Map<number, (error: string | undefined) => void>();
  let lost = false;
  let next = 0;
  thread.unref();
  const lose = (why: string) => {
    lost = true;
    for (const answer of [...waiting.values()]) answer(why);
  };
  thread.on("error", (error) => lose(String(error)));
  thread.on("exit", (code) => lose(`it ended with code ${code}`));
  thread.on("message", ({ id, error }: { readonly id: number; readonly error?: string }) => waiting.get(id)?.(error));
  const ring = () => {
    const rings = Atomics.add(words, RINGS, 1) + 1;
    Atomics.notify(words, RINGS);
    return rings;
  };

  const loaded = (id: number): Promise<void> =>
    new Promise((resolve, reject) => {
      // A thread that somebody waits for keeps the process alive.
      thread.ref();
      waiting.set(id, (error) => {
        waiting.delete(id);
        if (waiting.size === 0) thread.unref();
        if (error === undefined) resolve();
        else reject(new Error(error));
      });
    });

  return {
    async load({ model, options, inputs, outputs }, fixed) {
      if (lost) return fail("engine", "the thread of a shard ended");
      const id = next++;
      const share = (ports: readonly TypedPort[]) => ports.map((port) => ({ ...port, shared: shared(port) }));
      const [ins, outs] = [share(inputs.filter(({ name }) => fixed[name] === undefined)), share(outputs)];
      const known = inputs.flatMap((port) => {
        const array = fixed[port.name];
        return array === undefined ? [] : [{ ...port, array }];
      });
      const answer = loaded(id);
      thread.postMessage({ order: "load", id, model, options, inputs: ins, outputs: outs, fixed: known });
      ring();
      await answer;
      const arrays = (ports: typeof ins) => Object.fromEntries(ports.map(({ name, shared }) => [name, shared]));
      let awaited: number | undefined;
      return {
        inputs: arrays(ins),
        outputs: arrays(outs),
        start(steps) {
          if (lost) return;
          Atomics.store(words, STEPS, steps);
          Atomics.store(words, WANTED, id);
          awaited = ring();
        },
        finish(patience) {
          const wanted = awaited;
          awaited = undefined;
          if (wanted === undefined || lost) return false;
          for (let waits = Math.ceil(patience / WAIT); waits >= 0; ) {
            const answered = Atomics.load(words, ANSWERED);
            if (answered >= wanted) return Atomics.load(words, FAILED) === 0;
            if (Atomics.wait(words, ANSWERED, answered, WAIT) === "timed-out") waits--;
          }
          lose("it did not answer");
          void thread.terminate();
          return false;
        },
        release() {
          if (lost) return;
          thread.postMessage({ order: "release", id });
          ring();
        },
      };
    },
    lost: () => lost,
    held: () => Atomics.load(words, HELD),
    async end() {
      await thread.terminate();
    },
  };
}

const threads: Thread[] = [];

/** The first `count` threads of the pool; those that are lost are started again. They load programs as soon as they run. */
export function shardThreads(count: number): readonly Thread[] {
  for (let i = 0; i < count; i++) if (threads[i]?.lost() !== false) threads[i] = startThread();
  return threads.slice(0, count);
}

/** Sessions held by all threads. */
export const heldByThreads = (): number =>
  threads.reduce((sum, thread) => sum + (thread.lost() ? 0 : thread.held()), 0);

/** Ends all threads. What was loaded there is run by its callers from then on. */
export async function endThreads(): Promise<void> {
  await Promise.all(threads.splice(0).map((thread) => thread.end()));
}
