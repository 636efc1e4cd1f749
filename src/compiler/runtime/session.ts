/** A compiled program: a graph lowered, loaded into ONNX Runtime, and run on typed arrays. */
import { fail } from "../../core/errors.ts";
import { type Shape, sizeOf } from "../../core/shape.ts";
import { type Graph, type NumericArray, textOf } from "../ir/node.ts";
import { lower } from "../lower/lower.ts";
import type { Lowered, Port } from "../lower/nodes.ts";
import type { ScanOptions } from "../lower/scan.ts";
import type { Precision } from "../onnx/emit.ts";
import { encodeModel } from "../onnx/model.ts";
import { STOPPER, withStopper, wroteAll } from "./output-copies.ts";
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

/** Arrays by name, row-major. Real numbers are Float32Array or Float64Array, int32 is Int32Array, bool is Uint8Array. */
export type Arrays = Readonly<Record<string, NumericArray>>;

/** An input or output with the type of its elements. */
export interface TypedPort extends Port {
  readonly type: "float32" | "float64" | "int32" | "bool";
}

/** What a session elsewhere is made from. */
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

/** The kind of array that holds elements of a type. */
export const ARRAYS = { float32: Float32Array, float64: Float64Array, int32: Int32Array, bool: Uint8Array } as const;

/** Bytes of outputs that have a place from which it pays to be spared their copies: the stop itself takes ten microseconds. */
const WORTH_STOPPING = 1 << 16;

const typeOf = (port: Port, precision: Precision) => (port.dtype === "float32" ? precision : port.dtype);

/** Numbers in one row of a port that has one an iteration. */
const rowSize = ({ shape }: Port): number => sizeOf(shape.slice(1));

/** The shape of a port in a run of so many iterations. */
const shapeIn = (port: Port, steps: number): Shape =>
  port.perStep === true ? [steps, ...port.shape.slice(1)] : port.shape;

/** Iterations of a run, as many as its slices have rows; undefined for a program that does not repeat anything. */
function stepsOf(ports: readonly Port[], inputs: Arrays): number | undefined {
  const port = ports.find(({ perStep, name }) => perStep === true && inputs[name] !== undefined);
  return port && (inputs[port.name] as NumericArray).length / rowSize(port);
}

function converted(port: Port, data: NumericArray | undefined, precision: Precision, steps: number): NumericArray {
  if (!data) return fail("argument", `Program input ${port.name} is missing; give ${port.dtype}${textOf(port.shape)}.`);
  const isRun = port.perStep !== true || (Number.isInteger(steps) && steps <= (port.shape[0] as number));
  if (!isRun || data.length !== sizeOf(shapeIn(port, steps)))
    fail(
      "shape",
      `Program input ${port.name}: found ${data.length} elements; expected ${port.perStep === true ? `rows of ${rowSize(port)}, at most ` : ""}${sizeOf(port.shape)} for ${port.dtype}${textOf(port.shape)}.`,
    );
  const kind = ARRAYS[typeOf(port, precision)];
  return data instanceof kind ? data : new kind(data);
}

function engineFailure(doing: string, cause: unknown): never {
  return fail("engine", `ONNX Runtime failed to ${doing}: ${cause instanceof Error ? cause.message : String(cause)}`, {
    cause,
  });
}

function programOf(
  runtime: Runtime,
  model: LoadedModel,
  lowered: Lowered,
  precision: Precision,
  bytes: number,
  settings: SessionSettings,
): Program {
  const wanted = lowered.outputs.map((o) => o.key);
  const made = Object.fromEntries(wanted.map((key) => [key, null]));
  const tensorOf = (port: Port, data: NumericArray | undefined, steps: number) =>
    runtime.makeTensor(typeOf(port, precision), converted(port, data, precision, steps), shapeIn(port, steps));
  let live = true;
  const feedsOf = (inputs: Arrays, steps: number) => {
    if (!live) fail("engine", "This program was disposed; compile it again.");
    return Object.fromEntries(lowered.inputs.map((port) => [port.key, tensorOf(port, inputs[port.name], steps)]));
  };
  type Results = Awaited<ReturnType<LoadedModel["run"]>>;
  const arraysOf = (results: Results): Arrays =>
    Object.fromEntries(lowered.outputs.map((port) => [port.name, results[port.key]!.data as NumericArray]));
  /** Outputs that have a place: their arrays, and the tensors that the runtime writes. */
  const placesIn = (into: Arrays, steps: number) =>
    lowered.outputs.flatMap((port) => {
      const array = into[port.name];
      return array === undefined ? [] : [{ port, array, tensor: tensorOf(port, array, steps) }];
    });
  const dispose = () => {
    if (live) model.release();
    live = false;
  };
  const { runNow } = model;
  /** Whether runs can be stopped before outputs are copied. What once did not work is not tried again. */
  let stops = runtime.stops === true;
  /** Runs it with a place for every output; undefined when that does not pay, or did not work. */
  const written = (feeds: Values, into: Arrays, steps: number): Arrays | undefined => {
    const bytes = Object.values(into).reduce((sum, { byteLength }) => sum + byteLength, 0);
    if (runNow === undefined || !stops || bytes < WORTH_STOPPING) return undefined;
    const places = lowered.outputs.map((port) => {
      const kind = ARRAYS[typeOf(port, precision)];
      const array = into[port.name] ?? new kind(sizeOf(shapeIn(port, steps)));
      return { port, array, fits: array instanceof kind };
    });
    const real = ({ array }: { readonly array: NumericArray }) =>
      (array instanceof Float32Array || array instanceof Float64Array) && array.length > 0;
    const witness = places.find(real)?.array as Float32Array | Float64Array | undefined;
    if (witness === undefined || !places.every(({ fits }) => fits)) return undefined;
    const fetches = Object.fromEntries(places.map(({ port, array }) => [port.key, tensorOf(port, array, steps)]));
    stops = wroteAll(() => runNow(feeds, { [STOPPER]: null, ...fetches }), witness);
    return stops ? Object.fromEntries(places.map(({ port, array }) => [port.name, array])) : undefined;
  };
  return {
    synchronous: runNow !== undefined,
    runtime: runtime.name,
    inputs: lowered.inputs,
    outputs: lowered.outputs,
    size: { bytes, operations: lowered.model.nodes.length },
    run(inputs, into = {}) {
      if (!runNow)
        return fail("engine", "onnxruntime-web cannot answer at once; use runAsync, or install onnxruntime-node.");
      const steps = stepsOf(lowered.inputs, inputs) ?? 1;
      const feeds = feedsOf(inputs, steps);
      const done = written(feeds, into, steps);
      if (done !== undefined) return done;
      const places = placesIn(into, steps);
      const tensors = Object.fromEntries(places.map(({ port, tensor }) => [port.key, tensor]));
      try {
        const results = { ...runNow(feeds, { ...made, ...tensors }), ...tensors };
        // An array of another kind was written to in a copy.
        for (const { array, tensor } of places) if (tensor.data !== array) array.set(tensor.data as NumericArray);
        return { ...arraysOf(results), ...Object.fromEntries(places.map(({ port, array }) => [port.name, array])) };
      } catch (cause) {
        return engineFailure("run a program", cause);
      }
    },
    async runAsync(inputs) {
      const feeds = feedsOf(inputs, stepsOf(lowered.inputs, inputs) ?? 1);
      return arraysOf(await model.run(feeds, wanted).catch((cause) => engineFailure("run a program", cause)));
    },
    endProfiling: () => model.endProfiling(),
    portable() {
      const typed = (ports: readonly Port[]) => ports.map((port) => ({ ...port, type: typeOf(port, precision) }));
      return {
        model: encodeModel(lowered.model),
        options: sessionOptions(settings),
        inputs: typed(lowered.inputs),
        outputs: typed(lowered.outputs),
      };
    },
    dispose,
    [Symbol.dispose]: dispose,
  };
}

/** Lowers and loads `graph`. The graph is taken as it is; simplify it first. */
export async function createProgram(graph: Graph, options: ProgramOptions = {}): Promise<Program> {
  const { dtype: precision = "float32", threads = 1, scan, profile } = options;
  const runtime = await findRuntime(options.runtime);
  const lowered = lower(graph, { precision, ...(scan ? { scan } : {}) });
  const bytes = encodeModel(runtime.stops === true ? withStopper(lowered.model) : lowered.model);
  const settings = { threads, ...(profile === undefined ? {} : { profile }) };
  const model = await runtime.load(bytes, settings).catch((cause) => engineFailure("load a program", cause));
  return programOf(runtime, model, lowered, precision, bytes.length, settings);
}
