/// <reference lib="esnext.disposable" preserve="true" />
/** `compile`: a pure function of tensors, traced once for each set of shapes and run by ONNX Runtime. */
import * as tf from "@tensorflow/tfjs-core";
import { type DType as ArrayDType, type ArrayLike, type NdArray, ndarray, toTensor } from "../core/array.ts";
import { fail } from "../core/errors.ts";
import { fold, type Key, rootKey, type Seed, toKey, tracedKey } from "../core/key.ts";
import { scope } from "../core/scope.ts";
import type { Shape } from "../core/shape.ts";
import { currentTracer } from "../core/tracing.ts";
import { mapTree, type TensorTree, type Tree } from "../core/tree.ts";
import { ensureEngine } from "../engine/engine.ts";
import type { NumericArray, TensorType } from "./ir/node.ts";
import type { Precision } from "./onnx/emit.ts";
import { type CompiledStep, compileStep } from "./step.ts";

/** Numbers in double precision, with a shape. */
export interface Float64NdArray {
  readonly data: Float64Array;
  readonly shape: Shape;
}

/** What a compiled function takes. */
export type CompiledInput = ArrayLike | Float64NdArray;

/** What it gives: single precision, or double where that was asked for (whole numbers stay `int32`). */
export type CompiledOutput<P extends Precision> = P extends "float64" ? Float64NdArray | NdArray : NdArray;

/** Options of {@link compile}. */
export interface CompileOptions<P extends Precision = Precision> {
  /** Default `float32`. In `float64` constants written in the function are still those of tfjs: rounded to single precision. */
  readonly dtype?: P;
  /** Threads inside one operation. Default: one, and more where the products of a run are large. */
  readonly threads?: number;
  /** Runs in a thread of its own (Node), so that the event loop stays free; inputs and outputs are copied. Default false. */
  readonly background?: boolean;
  /** For messages. Default: the function's name. */
  readonly name?: string;
}

/** A compiled function. */
export interface Compiled<I extends string, O extends string, P extends Precision = "float32"> extends Disposable {
  /**
   * Runs it on arrays; with other shapes or dtypes than before it is traced first.
   *
   * @param seed - Of the key that the function is given; needed if it draws.
   * @throws `trace` when the function cannot be traced; `engine` when ONNX Runtime is not installed; `argument` after `dispose`.
   */
  run(
    inputs: { readonly [N in I]: CompiledInput },
    seed?: Seed | Key,
  ): Promise<{ readonly [N in O]: CompiledOutput<P> }>;
  /** The graphs traced so far, as text. */
  show(): string;
  dispose(): void;
}

/** A function that can be compiled: tensors by name in, tensors by name out, and nothing else. */
export type Step<I extends string, O extends string> = (
  inputs: { readonly [N in I]: tf.Tensor },
  key: Key,
) => { readonly [N in O]: tf.Tensor };

interface Value {
  readonly data: NumericArray;
  readonly shape: Shape;
  readonly dtype: ArrayDType;
}

function readInput(input: CompiledInput): Value {
  if (typeof input === "object" && input instanceof Object && "data" in input && ArrayBuffer.isView(input.data)) {
    const { data, shape } = input as NdArray | Float64NdArray;
    return { data, shape, dtype: data instanceof Int32Array ? "int32" : "float32" };
  }
  return scope(() => {
    const tensor = toTensor(input as ArrayLike);
    const values = tensor.dataSync();
    const data = tensor.dtype === "float32" ? (values as Float32Array) : Int32Array.from(values as Int32Array);
    return { data, shape: tensor.shape, dtype: tensor.dtype === "float32" ? "float32" : "int32" };
  });
}

/** @throws `trace` unless `out` is a record of one tensor or more: what is written without types may give anything. */
function outputsOf(name: string, out: unknown): TensorTree {
  const wrong = (found: string) =>
    fail(
      "trace",
      `${name} must return tensors by name, such as { y: tf.mul(x, 2) }, and at once; it returned ${found}`,
    );
  if (out instanceof Promise) {
    out.catch(() => undefined);
    return wrong("a promise: a step cannot wait, so it must not be async");
  }
  if (typeof out !== "object" || out === null) return wrong(String(out));
  const entries = Object.entries(out);
  if (out instanceof tf.Tensor || entries.length === 0) return wrong(out instanceof tf.Tensor ? "a tensor" : "{}");
  const other = entries.find(([, x]) => !(x instanceof tf.Tensor));
  return other === undefined ? (out as TensorTree) : wrong(`${typeof other[1]} for "${other[0]}"`);
}

/** A function compiled for inputs of one signature. */
interface Entry {
  readonly compiled: CompiledStep;
  readonly outputs: Tree<TensorType>;
  /** Sets the key of the next run. */
  seed(key: Key | undefined): void;
}

async function compileFor<I extends string, O extends string>(
  name: string,
  step: Step<I, O>,
  inputs: Tree<Value>,
  { dtype = "float32", threads, background }: CompileOptions,
): Promise<Entry> {
  await ensureEngine();
  let now: Key | undefined;
  const key = tracedKey(() => {
    if (currentTracer() !== undefined)
      fail("trace", `${name}: the words of the key are read; draw with a distribution, or fold names into the key`);
    return now ?? fail("no-seed", `${name} draws at random: give run() a seed`);
  });
  let outputs: Entry["outputs"] = {};
  const compiled = await compileStep({
    what: name,
    inputs: mapTree(inputs, ({ shape, dtype }) => ({ shape, dtype })),
    body: (tensors) => {
      const out = outputsOf(name, step(tensors as { readonly [N in I]: tf.Tensor }, key));
      outputs = mapTree(out, ({ shape, dtype }) => ({ shape: [...shape], dtype: dtype as TensorType["dtype"] }));
      return out;
    },
    vary: (state) => {
      now = fold(rootKey("record"), state);
    },
    dtype,
    ...(threads !== undefined && { threads }),
    ...(background && { background: true }),
  });
  now = undefined;
  const seed = (next: Key | undefined) => {
    now = next;
  };
  return { compiled, outputs, seed };
}

const signatureOf = (inputs: Tree<Value>): string =>
  Object.entries(inputs)
    .map(([name, v]) => `${name}:${v.dtype}[${v.shape.join()}]`)
    .join(" ");

/**
 * Compiles a pure function of tensors. It is traced once for each set of shapes and dtypes, gradients included, simplified, and from
 * then on run without tfjs.
 *
 * @param step - Ops on its inputs and on tensors it captures, which become constants. What it draws must come from `key`, through a
 *   distribution. It must not read values (`dataSync`), nor draw by `tf.random…`: errors say what to write instead.
 * @remarks Needs the optional peer `onnxruntime-node` (Node) or `onnxruntime-web`.
 * @example
 * using slope = compile(({ w }: { readonly w: tf.Tensor }) => ({ g: tf.grad((v) => tf.sum(tf.square(v)))(w) }));
 * const { g } = await slope.run({ w: ndarray(Float32Array.of(1, 2)) });
 */
export function compile<I extends string, O extends string, P extends Precision = "float32">(
  step: Step<I, O>,
  options: CompileOptions<P> = {},
): Compiled<I, O, P> {
  const { dtype = "float32", name = step.name === "" ? "the compiled function" : step.name } = options;
  if (dtype !== "float32" && dtype !== "float64")
    fail("argument", `compile: dtype is "float32" or "float64", got "${String(dtype)}"`);
  const programs = new Map<string, Promise<Entry>>();
  const texts: string[] = [];
  let disposed = false;
  const dispose = () => {
    disposed = true;
    for (const entry of programs.values())
      entry.then(
        ({ compiled }) => compiled.dispose(),
        () => undefined,
      );
    programs.clear();
    texts.length = 0;
  };
  const prepare = async (inputs: Tree<Value>): Promise<Entry> => {
    const entry = await compileFor(name, step, inputs, options);
    texts.push(entry.compiled.show());
    return entry;
  };
  return {
    async run(inputs, seed) {
      if (disposed) return fail("argument", `${name} was disposed; compile it again`);
      const values = mapTree<CompiledInput, Value>(inputs, readInput);
      const signature = signatureOf(values);
      const known = programs.get(signature) ?? prepare(values);
      programs.set(signature, known);
      // Failures are not kept, so that the caller can try again.
      known.catch(() => programs.delete(signature));
      const entry = await known;
      entry.seed(seed === undefined ? undefined : toKey(seed));
      const out = await entry.compiled.run(mapTree(values, ({ data }) => data));
      if (out === undefined)
        return fail(
          "non-finite",
          `${name}: a check inside it failed in this run (a parameter or value out of its range); run the function without compile to see which`,
        );
      return mapTree(entry.outputs, ({ shape }, output) => arrayOf(out[output] as NumericArray, shape)) as never;
    },
    show: () => texts.join("\n\n"),
    dispose,
    [Symbol.dispose]: dispose,
  };
}

function arrayOf(data: NumericArray, shape: Shape): NdArray | Float64NdArray {
  if (data instanceof Float64Array) return { data, shape };
  return ndarray(data instanceof Uint8Array ? Int32Array.from(data) : data, shape);
}
