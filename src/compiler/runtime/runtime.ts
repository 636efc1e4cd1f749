/** ONNX Runtime found and loaded: native in Node when the optional peer is there, else WebAssembly. */
import { fail } from "../../core/errors.ts";
import { userOnnxRuntime } from "../../engine/ort-module.ts";
import { canSkipCopies } from "./output-copies.ts";
import type { Fetches, LoadedModel, Runtime, RuntimeName, SessionSettings, Tensor, Values } from "./runtime-types.ts";
import { workerRuntime } from "./runtime-worker.ts";

export type { LoadedModel, Runtime, RuntimeName, SessionSettings, Tensor } from "./runtime-types.ts";

interface PublicSession {
  run(feeds: Values, wanted: readonly string[]): Promise<Values>;
  endProfiling(): void;
  release(): Promise<void>;
}

/** The parts of the two packages that are used; they are alike. */
interface OrtModule {
  readonly InferenceSession: { create(model: Uint8Array, options: object): Promise<PublicSession> };
  readonly Tensor: new (type: string, data: unknown, shape: readonly number[]) => Tensor;
  readonly env?: { readonly wasm?: { numThreads?: number } };
}

/** The synchronous session inside onnxruntime-node; not part of its public interface, so checked before use. */
interface NativeSession {
  loadModel(buffer: ArrayBufferLike, offset: number, length: number, options: object): void;
  run(feeds: Values, fetches: Fetches, options: object): Values;
  endProfiling(): void;
  dispose(): void;
}
interface NativeBinding {
  readonly binding: { readonly InferenceSession: new () => NativeSession };
  readonly initOrt: () => void;
}

// Held in variables so that bundlers leave the optional peers alone.
const packages = {
  node: "onnxruntime-node",
  worker: "onnxruntime-node",
  native: "onnxruntime-node/dist/binding.js",
  web: "onnxruntime-web",
};

const inNode = () => typeof process !== "undefined" && process.versions?.node !== undefined;

/** The options with which the runtime makes a session. */
export const sessionOptions = ({ threads, profile }: SessionSettings) => ({
  intraOpNumThreads: threads,
  interOpNumThreads: 1,
  executionMode: "sequential" as const,
  // The graph is simplified already, but for large constants, which the runtime folds. What it would do beyond that undoes choices of the
  // lowering (it moves transposes back into products) and keeps factors of double-precision programs in single precision.
  graphOptimizationLevel: "basic" as const,
  // What goes wrong is thrown; nothing is written to the console.
  logSeverityLevel: 4 as const,
  ...(profile === undefined ? {} : { enableProfiling: true, profileFilePrefix: profile }),
  // Threads that wait within a run spin: to wake them takes longer than many an operation. Between runs they block.
  extra: { session: { force_spinning_stop: "1", intra_op: { allow_spinning: threads > 1 ? "1" : "0" } } },
});

const makeTensorOf =
  (ort: OrtModule): Runtime["makeTensor"] =>
  (type, data, shape) =>
    new ort.Tensor(type, data, shape);

/** Through the public session: every run answers later. */
async function loadLater(ort: OrtModule, model: Uint8Array, settings: SessionSettings): Promise<LoadedModel> {
  const session = await ort.InferenceSession.create(model, sessionOptions(settings));
  return {
    run: (feeds, wanted) => session.run(feeds, wanted),
    endProfiling: () => session.endProfiling(),
    release: () => void session.release(),
  };
}

function loadNow({ binding, initOrt }: NativeBinding, model: Uint8Array, settings: SessionSettings): LoadedModel {
  initOrt();
  const session = new binding.InferenceSession();
  session.loadModel(model.buffer, model.byteOffset, model.byteLength, sessionOptions(settings));
  const runNow = (feeds: Values, wanted: Fetches) => session.run(feeds, wanted, {});
  return {
    runNow,
    run: async (feeds, wanted) => runNow(feeds, Object.fromEntries(wanted.map((name) => [name, null]))),
    endProfiling: () => session.endProfiling(),
    release: () => session.dispose(),
  };
}

/** Whether a program answers at once on the native runtime, and so can do so in another thread of Node too. */
export const answersNatively = ({
  runtime,
  synchronous,
}: {
  readonly runtime: string;
  readonly synchronous: boolean;
}) => runtime === "node" && synchronous;

async function nativeBinding(): Promise<NativeBinding | undefined> {
  try {
    const found = (await import(/* @vite-ignore */ packages.native)) as {
      default?: NativeBinding;
    } & Partial<NativeBinding>;
    const native = found.default ?? found;
    const usable = typeof native.binding?.InferenceSession === "function" && typeof native.initOrt === "function";
    return usable ? (native as NativeBinding) : undefined;
  } catch {
    return undefined;
  }
}

async function nodeRuntime(): Promise<Runtime> {
  const loaded = (await import(/* @vite-ignore */ packages.node)) as OrtModule & { default?: OrtModule };
  const ort = loaded.default ?? loaded;
  const native = await nativeBinding();
  const makeTensor = makeTensorOf(ort);
  return {
    name: "node",
    skipsCopies: native !== undefined && canSkipCopies((model) => loadNow(native, model, { threads: 1 }), makeTensor),
    makeTensor,
    load: async (model, settings) => (native ? loadNow(native, model, settings) : loadLater(ort, model, settings)),
  };
}

async function webRuntime(): Promise<Runtime> {
  const bring = userOnnxRuntime() ?? (() => import(/* @vite-ignore */ packages.web));
  const loaded = (await bring()) as OrtModule & { default?: OrtModule };
  const ort = loaded.InferenceSession === undefined ? (loaded.default ?? loaded) : loaded;
  return {
    name: "web",
    makeTensor: makeTensorOf(ort),
    load: (model, settings) => {
      // The number of threads belongs to the one WebAssembly module of the process: the first program decides.
      if (ort.env?.wasm && ort.env.wasm.numThreads === undefined) ort.env.wasm.numThreads = settings.threads;
      return loadLater(ort, model, settings).catch((cause) => {
        const message = reasonOf(cause);
        throw new Error(message.includes("no available backend") ? `${message}. ${WHERE_FILES_ARE}` : message, {
          cause,
        });
      });
    },
  };
}

/** What is missing when the runtime does not find its own WebAssembly, as in most bundles. */
const WHERE_FILES_ARE =
  'If its .wasm file was not found, say where the files of onnxruntime-web/dist are served: `ort.env.wasm.wasmPaths = "/ort/"`';

const loaders: Record<RuntimeName, () => Promise<Runtime>> = {
  node: nodeRuntime,
  web: webRuntime,
  worker: () => workerRuntime(sessionOptions),
};
/** By name, or by the module that the program gave. */
const loading = new Map<unknown, Promise<Runtime>>();

function load(name: RuntimeName): Promise<Runtime> {
  const from = (name === "web" && userOnnxRuntime()) || name;
  let runtime = loading.get(from);
  if (!runtime) {
    runtime = loaders[name]();
    loading.set(from, runtime);
    // A failed attempt is not remembered: the package may be installed later.
    runtime.catch(() => loading.delete(from));
  }
  return runtime;
}

/** The first line of a failure, without the file from which a package was looked for. */
const reasonOf = (cause: unknown): string =>
  cause instanceof Error ? (cause.message.split("\n")[0] as string).replace(/ imported from .*/, "") : String(cause);

const NATIVE =
  "`ONNXRUNTIME_NODE_INSTALL=skip npm install onnxruntime-node` (native; the variable keeps its install script from downloading GPU libraries)";
const adviceInBrowsers =
  'In a browser a program brings it: `useEngine("wasm", { onnxruntime: () => import("onnxruntime-web/wasm") })`.';
const advice = `Install one of its optional peers: ${NATIVE} or \`npm install onnxruntime-web\` (WebAssembly, anywhere), or use the wasm engine.`;
/** Advice where only the native runtime was looked for. */
const onlyNative =
  'Only onnxruntime-node was looked for: the engine "auto" compiles for it alone, as runs in the background do; { engine: "compiled" } takes onnxruntime-web too.';

/**
 * The runtime to use: the one asked for, or native in Node when it is installed, else WebAssembly.
 *
 * @throws code `engine` when none can be loaded; the message says what to install.
 */
export async function findRuntime(wanted?: RuntimeName): Promise<Runtime> {
  if (!inNode() && wanted !== undefined && wanted !== "web")
    fail(
      "engine",
      userOnnxRuntime() === undefined
        ? `onnxruntime-node runs in Node alone; { engine: "compiled" } takes onnxruntime-web. ${adviceInBrowsers}`
        : 'onnxruntime-node runs in Node alone; { engine: "compiled" } takes the runtime that this program has brought',
    );
  const order: readonly RuntimeName[] = wanted ? [wanted] : inNode() ? ["node", "web"] : ["web"];
  const failures: string[] = [];
  for (const name of order) {
    try {
      return await load(name);
    } catch (cause) {
      failures.push(`${packages[name]}: ${reasonOf(cause)}`);
    }
  }
  const found = failures.join("; ");
  if (wanted !== undefined && wanted !== "web")
    return fail(
      "engine",
      `The native ONNX Runtime could not be loaded (${found}). ${onlyNative} Install it: ${NATIVE}.`,
    );
  return fail(
    "engine",
    `The compiled engine needs ONNX Runtime, and none could be loaded (${found}). ${inNode() ? advice : adviceInBrowsers}`,
  );
}
