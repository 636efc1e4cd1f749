/** The log-density of a mixture of diagonal normals and its gradient in the points, as kernels of the wasm engine. */
import * as tf from "@tensorflow/tfjs-core";
import { mixtureSlope, mixtureValue, sizesOf } from "../mixture-slices.ts";
import { type NativeBackend, nativeLoops } from "../wasm/memory.ts";
import { mixtureLoops, pack, packingOf } from "../wasm/mixture.ts";
import type { WasmBackend } from "./heap.ts";

/** log Σₖ exp(cₖ − ½ Σⱼ ((xⱼ − μₖⱼ)sₖⱼ)²) of points x `[n, d]` and rows μ₁ …, s₁ …, c `[2d + 1, K]`: `[n]`. */
export const MIXTURE = "DiagonalMixture";
/** Its gradient in each point, `[n, d]`. */
export const MIXTURE_SLOPE = "DiagonalMixtureSlope";

/** The data of the value whose gradient it is; a forward pass under a gradient has computed both. */
export interface SlopeAttrs {
  readonly of: object;
}

/** Most dimensions for which the loop is unrolled over axes; in more, matrix products are fast. */
const MAX_DIMENSIONS = 32;

type Loops = ReturnType<typeof nativeLoops>;
const known = new Map<number, Loops>();

function loopsOf(dimensions: number): Loops {
  const loops = known.get(dimensions) ?? nativeLoops(() => mixtureLoops(dimensions));
  known.set(dimensions, loops);
  return loops;
}

/** Gradients that were computed with a value, by the data of the value. */
const slopes = new WeakMap<object, Float32Array>();

/** Whether the ops that run now may be differentiated. */
export const isDifferentiated = (): boolean => tf.engine().state.gradientDepth > 0;

interface Inputs {
  readonly x: tf.Tensor;
  readonly rows: tf.Tensor;
}

/** Values at the points, with slopes if asked for; undefined where there is no loop for them. */
function run(engine: WasmBackend & NativeBackend, { x, rows }: Inputs, withSlopes: boolean) {
  const { d, components } = sizesOf(rows);
  const native = d >= 1 && d <= MAX_DIMENSIONS ? loopsOf(d)(engine) : undefined;
  if (native === undefined) return undefined;
  const n = x.shape[0] as number;
  const value = engine.makeOutput([n], "float32");
  const slope = withSlopes ? engine.makeOutput([n, d], "float32") : undefined;
  const { blocks, length, bytes } = packingOf(components, d);
  const place = native.workspace(bytes);
  const values = engine.typedArrayFromHeap(rows) as Float32Array;
  pack(values, d, new Float32Array(values.buffer, place, bytes / Float32Array.BYTES_PER_ELEMENT));
  const [from, to, and] = [x, value, slope ?? value].map(({ dataId }) => engine.getMemoryOffset(dataId));
  if (n > 0) {
    const loop = native.run[withSlopes ? "both" : "value"];
    loop?.(from as number, to as number, and as number, place, n, blocks, length);
  }
  return { value, slope };
}

export const MIXTURE_KERNELS: readonly tf.KernelConfig[] = [
  {
    kernelName: MIXTURE,
    backendName: "wasm",
    kernelFunc: ({ inputs, backend }) => {
      const engine = backend as unknown as WasmBackend & NativeBackend;
      const found = run(engine, inputs as unknown as Inputs, isDifferentiated());
      if (found === undefined) return mixtureValue(inputs.x as tf.Tensor, inputs.rows as tf.Tensor);
      const { value, slope } = found;
      if (slope !== undefined) {
        // Out of the engine's memory, where nobody would free them.
        slopes.set(value.dataId, (engine.typedArrayFromHeap(slope) as Float32Array).slice());
        engine.disposeData(slope.dataId);
      }
      return value;
    },
  },
  {
    kernelName: MIXTURE_SLOPE,
    backendName: "wasm",
    kernelFunc: ({ inputs, attrs, backend }) => {
      const engine = backend as unknown as WasmBackend & NativeBackend;
      const { x, rows } = inputs as unknown as Inputs;
      const known = slopes.get((attrs as unknown as SlopeAttrs).of);
      if (known !== undefined) {
        const out = engine.makeOutput([x.shape[0] as number, sizesOf(rows).d], "float32");
        engine.typedArrayFromHeap(out).set(known);
        return out;
      }
      const found = run(engine, { x, rows }, true);
      if (found?.slope === undefined) return mixtureSlope(x, rows);
      engine.disposeData(found.value.dataId);
      return found.slope;
    },
  },
];
