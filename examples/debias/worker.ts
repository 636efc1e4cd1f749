/** A worker thread: runs the tasks it is sent, one after the other, beside the main thread. Same code, same numbers. */
import { isMainThread, parentPort, Worker } from "node:worker_threads";
import { ndarray } from "tilted";
import { fineTuned, unbiasedOnly } from "./baselines.ts";
import type { Halves } from "./sets.ts";
import { type Counter, digitsVae, type Params, trainCounter } from "./train.ts";

/** Parameters as structured cloning can carry them. */
type PlainParams = readonly (readonly [name: string, data: Float32Array | Int32Array, shape: readonly number[]])[];

const toPlain = (params: Params): PlainParams => Object.entries(params).map(([n, { data, shape }]) => [n, data, shape]);
const fromPlain = (plain: PlainParams): Params =>
  Object.fromEntries(plain.map(([name, data, shape]) => [name, ndarray(data, shape)]));

interface PlainCounter {
  readonly accuracy: number;
  readonly params: PlainParams;
}
const counterFrom = ({ accuracy, params }: PlainCounter): Counter => ({ accuracy, params: fromPlain(params) });
const counterTo = ({ accuracy, params }: Counter): PlainCounter => ({ accuracy, params: toPlain(params) });

/** What the worker can do. Arguments and results are plain data. */
const tasks = {
  counter: async (sets: Halves, seed: string) => counterTo(await trainCounter(sets.training, sets.validation, seed)),
  unbiasedOnly: (latent: number, sets: Halves, counter: PlainCounter, samples: number, seed: string) =>
    unbiasedOnly(digitsVae(latent), sets, counterFrom(counter), samples, seed),
  fineTuned: (latent: number, from: PlainParams, sets: Halves, counter: PlainCounter, samples: number, seed: string) =>
    fineTuned(digitsVae(latent), fromPlain(from), sets, counterFrom(counter), samples, seed),
};
type Tasks = typeof tasks;

interface Call {
  readonly id: number;
  readonly task: keyof Tasks;
  readonly args: readonly unknown[];
}

if (!isMainThread && parentPort !== null) {
  const port = parentPort;
  let last: Promise<unknown> = Promise.resolve();
  port.on("message", ({ id, task, args }: Call) => {
    const run = () => (tasks[task] as (...args: readonly unknown[]) => Promise<unknown>)(...args);
    last = last.then(run).then(
      (result) => port.postMessage({ id, result }),
      (error: unknown) => port.postMessage({ id, error }),
    );
  });
}

/** Starts the worker thread. Tasks run in the order of the calls. */
export function startWorker() {
  const worker = new Worker(new URL("./thread.mjs", import.meta.url));
  const waiting = new Map<number, { resolve: (value: unknown) => void; reject: (error: unknown) => void }>();
  const failAll = (error: unknown) => {
    for (const { reject } of waiting.values()) reject(error);
    waiting.clear();
  };
  worker.on("message", ({ id, result, error }: { id: number; result?: unknown; error?: unknown }) => {
    const call = waiting.get(id);
    waiting.delete(id);
    if (error === undefined) call?.resolve(result);
    else call?.reject(error);
  });
  worker.on("error", failAll);
  let calls = 0;
  const call = <T extends keyof Tasks>(task: T, ...args: Parameters<Tasks[T]>): ReturnType<Tasks[T]> =>
    new Promise((resolve, reject) => {
      const id = calls++;
      waiting.set(id, { resolve: resolve as (value: unknown) => void, reject });
      worker.postMessage({ id, task, args } satisfies Call);
    }) as ReturnType<Tasks[T]>;
  return {
    counter: async (sets: Halves, seed: string) => counterFrom(await call("counter", sets, seed)),
    unbiasedOnly: (latent: number, sets: Halves, counter: Counter, samples: number, seed: string) =>
      call("unbiasedOnly", latent, sets, counterTo(counter), samples, seed),
    fineTuned: (latent: number, from: Params, sets: Halves, counter: Counter, samples: number, seed: string) =>
      call("fineTuned", latent, toPlain(from), sets, counterTo(counter), samples, seed),
    close: () => worker.terminate(),
  };
}
