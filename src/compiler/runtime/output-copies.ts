/**
 * Runs of onnxruntime-node without copies of the outputs. It copies every output that it is asked for, also one that it has written
 * where its caller wanted it; for large outputs that is fresh memory in every run, which keeps the garbage collector busy.
 *
 * It makes the copies when all is written, in the order of the outputs, and fails at the first that has no type in JavaScript. So the
 * model gets such an output, an empty sequence, in front of the others: a run that asks for it too writes the others and copies none.
 */
import { sizeOf } from "../../core/shape.ts";
import { encodeModel, type OnnxGraph, type OnnxValue } from "../onnx/model.ts";
import { ARRAYS, type Arrays, arrayFor, shapeIn, type TypedPort } from "./ports.ts";
import type { LoadedModel, MakeTensor, Values } from "./runtime-types.ts";

/** The name of the output that has no type in JavaScript. */
const UNREADABLE = "unreadable";

/** The model with that output in front. Runs that do not ask for it are unaffected. */
export const withUnreadableOutput = (model: OnnxGraph): OnnxGraph => ({
  ...model,
  nodes: [...model.nodes, { op: "SequenceEmpty", inputs: [], outputs: [UNREADABLE] }],
  outputs: [{ name: UNREADABLE, type: "sequence", shape: [] }, ...model.outputs],
});

/** How the binding's error begins when it comes to that output. */
const UNREADABLE_ERROR = "Non tensor type";

type RealArray = Float32Array | Float64Array;

/**
 * Runs a model that writes `output` among other places.
 *
 * @returns Whether all was written, as it is when the run came to the unreadable output, or to its end. Else nothing is known.
 */
export function wroteAll(run: () => unknown, output: RealArray): boolean {
  output[0] = Number.NaN;
  try {
    run();
  } catch (cause) {
    if (!(cause instanceof Error && cause.message.startsWith(UNREADABLE_ERROR))) return false;
  }
  return !Number.isNaN(output[0]);
}

const pair = (name: string): OnnxValue => ({ name, type: "float32", shape: [2] });

/**
 * Whether a runtime writes the others and fails at the unreadable output, and does not fail where that is not asked for: before 1.24 it
 * confuses the names of outputs when some are not asked for. Seen from a model of two operations.
 */
export function canSkipCopies(load: (model: Uint8Array) => LoadedModel, makeTensor: MakeTensor): boolean {
  const ops = [
    { op: "Neg", inputs: ["x"], outputs: ["y"] },
    { op: "Abs", inputs: ["x"], outputs: ["z"] },
  ];
  const graph = { nodes: ops, initializers: [], inputs: [pair("x")], outputs: [pair("y"), pair("z")] };
  const tensorOn = (data: Float32Array) => makeTensor("float32", data, [2]);
  const right = (y: unknown, z: unknown) =>
    y instanceof Float32Array && z instanceof Float32Array && [...y, ...z].join() === "-1,2,1,2";
  try {
    const { runNow, release } = load(encodeModel(withUnreadableOutput(graph)));
    try {
      const feeds = { x: tensorOn(Float32Array.of(1, -2)) };
      const plain = runNow?.(feeds, { y: null, z: null });
      const [y, z] = [new Float32Array(2), new Float32Array(2)];
      const written = wroteAll(() => runNow?.(feeds, { [UNREADABLE]: null, y: tensorOn(y), z: tensorOn(z) }), y);
      return right(plain?.y?.data, plain?.z?.data) && written && right(y, z);
    } finally {
      release();
    }
  } catch {
    return false;
  }
}

/** Bytes of outputs with a given array from which skipping copies pays: the error itself takes ten microseconds. */
const MIN_SKIPPED_BYTES = 1 << 16;

/** A run that writes every output in an array, without copies; undefined when that does not pay, or did not work. */
export type RunInPlace = (feeds: Values, into: Arrays, steps: number) => Arrays | undefined;

/** Such runs of a model that has the unreadable output. After one failure it is not tried again. */
export function createRunInPlace(
  runNow: NonNullable<LoadedModel["runNow"]>,
  outputs: readonly TypedPort[],
  makeTensor: MakeTensor,
): RunInPlace {
  let works = true;
  const isReal = (array: unknown): array is RealArray => array instanceof Float32Array || array instanceof Float64Array;
  return (feeds, into, steps) => {
    const bytes = Object.values(into).reduce((sum, { byteLength }) => sum + byteLength, 0);
    if (!works || bytes < MIN_SKIPPED_BYTES) return undefined;
    const places = outputs.map((port) => {
      const array = into[port.name] ?? new ARRAYS[port.type](sizeOf(shapeIn(port, steps)));
      return { port, array };
    });
    const checked = places.map(({ array }) => array).find((array) => isReal(array) && array.length > 0);
    const fits = places.every(({ port, array }) => array instanceof ARRAYS[port.type]);
    if (!isReal(checked) || !fits) return undefined;
    const fetches = Object.fromEntries(
      places.map(({ port, array }) => [
        port.key,
        makeTensor(port.type, arrayFor(port, array, steps), shapeIn(port, steps)),
      ]),
    );
    works = wroteAll(() => runNow(feeds, { [UNREADABLE]: null, ...fetches }), checked);
    return works ? Object.fromEntries(places.map(({ port, array }) => [port.name, array])) : undefined;
  };
}
