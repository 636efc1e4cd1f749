/** A compiled program: a graph lowered, loaded into ONNX Runtime, and run on typed arrays. */
import { fail } from "../../core/errors.ts";
import type { Graph, NumericArray } from "../ir/node.ts";
import { lower } from "../lower/lower.ts";
import type { Lowered, Port } from "../lower/nodes.ts";
import type { ScanOptions } from "../lower/scan.ts";
import type { Precision } from "../onnx/emit.ts";
import { encodeModel } from "../onnx/model.ts";
import { createRunInPlace, withUnreadableOutput } from "./output-copies.ts";
import { type Arrays, arrayFor, shapeIn, stepsOf, type TypedPort, typedPorts } from "./ports.ts";
import { findRuntime, type LoadedModel, type Runtime, type RuntimeName, sessionOptions } from "./runtime.ts";
import type { SessionSettings, Values } from "./runtime-types.ts";

export interface ProgramOptions {
  /** float32 by default; float64 computes everything in doubles (the oracle, at about half the speed). */
  readonly dtype?: Precision;
  /** Threads inside one operation; 1 by default, which is best below about a millisecond a run. */
  readonly threads?: number;
  /** The runtime to use; native when it is installed, else WebAssembly. */
  readonly runtime?: RuntimeName;
  /** Repeats the graph as a step; see {@link ScanOptions}. */
  readonly scan?: ScanOptions;
  /** Prefix of a file to which the time of every operation is written, complete after `endProfiling`. */
  readonly profile?: string;
}

/** What another thread needs to make a session. */
export interface PortableProgram {
  readonly model: Uint8Array;
  /** Of the session. */
  readonly options: object;
  readonly inputs: readonly TypedPort[];
  readonly outputs: readonly TypedPort[];
}

export interface Program extends Disposable {
  /** Whether `run` may be used: the native runtime answers at once, WebAssembly does not. */
  readonly synchronous: boolean;
  readonly runtime: RuntimeName;
  readonly inputs: readonly Port[];
  readonly outputs: readonly Port[];
  /** Size of the model in bytes and of its main graph in operations. */
  readonly size: { readonly bytes: number; readonly operations: number };
  /**
   * Runs the program and gives its outputs in arrays of its precision; outputs named in `into` are written there and nowhere else,
   * which spares large ones a buffer of their own at every run. A repeated step runs as often as its slices have rows.
   *
   * @throws code `argument` for a missing input, `shape` for one of the wrong length, `engine` when the runtime is not synchronous or fails.
   */
  run(inputs: Arrays, into?: Arrays): Arrays;
  /** The same on every runtime, into buffers of its own. */
  runAsync(inputs: Arrays): Promise<Arrays>;
  endProfiling(): void;
  /** The program for a session in another thread. */
  portable(): PortableProgram;
  /** Frees the session; the program cannot run again. A second call does nothing. */
  dispose(): void;
}

function engineFailure(doing: string, cause: unknown): never {
  return fail("engine", `ONNX Runtime failed to ${doing}: ${cause instanceof Error ? cause.message : String(cause)}`, {
    cause,
  });
}

/** A session with what was loaded into it. */
interface Loaded {
  readonly runtime: Runtime;
  readonly session: LoadedModel;
  readonly model: Lowered["model"];
  readonly inputs: readonly TypedPort[];
  readonly outputs: readonly TypedPort[];
  readonly settings: SessionSettings;
}

/** Runs of a session that answers at once. */
function createRun(
  { runtime, outputs }: Loaded,
  runNow: NonNullable<LoadedModel["runNow"]>,
  arraysOf: (results: Values) => Arrays,
): (feeds: Values, into: Arrays, steps: number) => Arrays {
  const runInPlace = runtime.skipsCopies ? createRunInPlace(runNow, outputs, runtime.makeTensor) : undefined;
  const wanted = Object.fromEntries(outputs.map(({ key }) => [key, null]));
  return (feeds, into, steps) => {
    const written = runInPlace?.(feeds, into, steps);
    if (written !== undefined) return written;
    const places = outputs.flatMap((port) => {
      const array = into[port.name];
      if (array === undefined) return [];
      return [
        { port, array, tensor: runtime.makeTensor(port.type, arrayFor(port, array, steps), shapeIn(port, steps)) },
      ];
    });
    const tensors = Object.fromEntries(places.map(({ port, tensor }) => [port.key, tensor]));
    try {
      const results = { ...runNow(feeds, { ...wanted, ...tensors }), ...tensors };
      // An array of another kind was written to in a copy.
      for (const { array, tensor } of places) if (tensor.data !== array) array.set(tensor.data as NumericArray);
      return { ...arraysOf(results), ...Object.fromEntries(places.map(({ port, array }) => [port.name, array])) };
    } catch (cause) {
      return engineFailure("run a program", cause);
    }
  };
}

function programOf(loaded: Loaded, bytes: number): Program {
  const { runtime, session, model, inputs, outputs, settings } = loaded;
  let disposed = false;
  const feedsOf = (arrays: Arrays, steps: number): Values => {
    if (disposed) fail("engine", "This program was disposed; compile it again.");
    const tensorOf = (port: TypedPort) =>
      runtime.makeTensor(port.type, arrayFor(port, arrays[port.name], steps), shapeIn(port, steps));
    return Object.fromEntries(inputs.map((port) => [port.key, tensorOf(port)]));
  };
  const arraysOf = (results: Values): Arrays =>
    Object.fromEntries(outputs.map(({ name, key }) => [name, results[key]!.data as NumericArray]));
  const run = session.runNow && createRun(loaded, session.runNow, arraysOf);
  const keys = outputs.map(({ key }) => key);
  const dispose = () => {
    if (!disposed) session.release();
    disposed = true;
  };
  return {
    synchronous: run !== undefined,
    runtime: runtime.name,
    inputs,
    outputs,
    size: { bytes, operations: model.nodes.length },
    run(arrays, into = {}) {
      if (run === undefined)
        return fail("engine", "onnxruntime-web cannot answer at once; use runAsync, or install onnxruntime-node.");
      const steps = stepsOf(inputs, arrays);
      return run(feedsOf(arrays, steps), into, steps);
    },
    async runAsync(arrays) {
      const feeds = feedsOf(arrays, stepsOf(inputs, arrays));
      return arraysOf(await session.run(feeds, keys).catch((cause) => engineFailure("run a program", cause)));
    },
    endProfiling: () => session.endProfiling(),
    portable: () => ({ model: encodeModel(model), options: sessionOptions(settings), inputs, outputs }),
    dispose,
    [Symbol.dispose]: dispose,
  };
}

/** Lowers and loads `graph`. The graph is taken as it is; simplify it first. */
export async function createProgram(graph: Graph, options: ProgramOptions = {}): Promise<Program> {
  const { dtype: precision = "float32", threads = 1, scan, profile } = options;
  const runtime = await findRuntime(options.runtime);
  const { model, inputs, outputs } = lower(graph, { precision, ...(scan ? { scan } : {}) });
  const bytes = encodeModel(runtime.skipsCopies ? withUnreadableOutput(model) : model);
  const settings = { threads, ...(profile === undefined ? {} : { profile }) };
  const session = await runtime.load(bytes, settings).catch((cause) => engineFailure("load a program", cause));
  const ports = { inputs: typedPorts(inputs, precision), outputs: typedPorts(outputs, precision) };
  return programOf({ runtime, session, model, settings, ...ports }, bytes.length);
}
