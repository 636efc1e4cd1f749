/**
 * ONNX Runtime in a thread of its own: a run blocks that thread and not the event loop, which can answer requests, draw a progress bar
 * or be aborted meanwhile. Inputs and outputs are copied between the threads, so this suits steps of milliseconds and more.
 */
import { nodeModule } from "../../core/node.ts";
import type { LoadedModel, Runtime, SessionSettings, Tensor, Values } from "./runtime-types.ts";

/** A tensor on its way to the thread. */
interface SentTensor extends Tensor {
  readonly type: string;
  readonly data: unknown;
  readonly dims: readonly number[];
}

/** What the thread does; it is started from this text, since a package has no file that is sure to be found. */
const THREAD = `
const { parentPort, workerData } = require("node:worker_threads");
const ort = require(workerData);
const sessions = new Map();
const jobs = {
  async load({ session, model, options }) {
    sessions.set(session, await ort.InferenceSession.create(model, options));
  },
  async run({ session, feeds, wanted }) {
    const tensors = {};
    for (const [name, { type, data, dims }] of Object.entries(feeds)) tensors[name] = new ort.Tensor(type, data, dims);
    const out = await sessions.get(session).run(tensors, wanted);
    return Object.fromEntries(wanted.map((name) => [name, { data: out[name].data.slice() }]));
  },
  async profile({ session }) {
    sessions.get(session).endProfiling();
  },
  async release({ session }) {
    await sessions.get(session).release();
    sessions.delete(session);
  },
};
parentPort.on("message", ({ id, job, ...what }) =>
  jobs[job](what).then(
    (result) => parentPort.postMessage({ id, result }, result ? Object.values(result).map(({ data }) => data.buffer) : []),
    (error) => parentPort.postMessage({ id, error: String(error && error.message ? error.message : error) }),
  ),
);
`;

interface Answer {
  readonly id: number;
  readonly result?: Values;
  readonly error?: string;
}

/** The thread, and what waits for it. */
function startThread(entry: string) {
  const { Worker } = nodeModule("node:worker_threads", "a compiled program in a thread of its own");
  const thread = new Worker(THREAD, { eval: true, workerData: entry });
  const waiting = new Map<number, { resolve(values: Values): void; reject(error: Error): void }>();
  let next = 0;
  const settle = (id: number) => {
    const job = waiting.get(id);
    waiting.delete(id);
    // A thread that nobody waits for keeps no process alive.
    if (waiting.size === 0) thread.unref();
    return job;
  };
  thread.unref();
  thread.on("message", ({ id, result, error }: Answer) => {
    const job = settle(id);
    if (error === undefined) job?.resolve(result ?? {});
    else job?.reject(new Error(error));
  });
  const failAll = (error: unknown) => {
    for (const id of [...waiting.keys()]) settle(id)?.reject(error instanceof Error ? error : new Error(String(error)));
  };
  thread.on("error", failAll);
  thread.on("exit", (code) => failAll(new Error(`the thread of the compiled programs ended with code ${code}`)));
  return (job: "load" | "run" | "profile" | "release", what: object): Promise<Values> =>
    new Promise((resolve, reject) => {
      const id = next++;
      waiting.set(id, { resolve, reject });
      thread.ref();
      thread.postMessage({ id, job, ...what });
    });
}

/** An array with a buffer of its own: the buffer that a view lies in would be sent whole. */
const ownBuffer = (data: unknown): unknown => {
  const view = data as Float32Array;
  return view.byteLength === view.buffer.byteLength ? view : view.slice();
};

/** The native runtime in one thread for all programs. */
export async function workerRuntime(optionsOf: (settings: SessionSettings) => object): Promise<Runtime> {
  const { createRequire } = nodeModule("node:module", "a compiled program in a thread of its own");
  const ask = startThread(createRequire(import.meta.url).resolve("onnxruntime-node"));
  let sessions = 0;
  return {
    name: "worker",
    makeTensor: (type, data, shape): SentTensor => ({ type, data: ownBuffer(data), dims: shape }),
    async load(model, settings): Promise<LoadedModel> {
      const session = sessions++;
      await ask("load", { session, model: ownBuffer(model), options: optionsOf(settings) });
      return {
        run: (feeds, wanted) => ask("run", { session, feeds, wanted }),
        endProfiling: () => void ask("profile", { session }),
        release: () => void ask("release", { session }),
      };
    },
  };
}
