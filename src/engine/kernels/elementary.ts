/** Kernels of elementary functions in SIMD, where the machine has it. */
import type * as tf from "@tensorflow/tfjs-core";
import { ELEMENTARY_LOOPS } from "../wasm/elementary.ts";
import { type NativeBackend, nativeLoops } from "../wasm/memory.ts";
import { type Values, type WasmBackend, type Wrapper, wrappedKernel } from "./heap.ts";

const loops = nativeLoops(() => ELEMENTARY_LOOPS);

const LANES = 4;
const FLOAT = 4;

/** Where there is no SIMD: tfjs's own is log(1 + x) as written, which is 0 for small x. */
function slowLog1p(backend: WasmBackend, x: tf.TensorInfo): tf.TensorInfo {
  const out = backend.makeOutput(x.shape, "float32");
  const [from, to] = [x, out].map((info) => backend.typedArrayFromHeap(info)) as [Values, Values];
  for (let i = 0; i < to.length; i++) to[i] = Math.log1p(from[i] as number);
  return out;
}

const elementary = (name: string): Wrapper =>
  wrappedKernel(name, (original, args) => {
    const x = args.inputs.x as tf.TensorInfo;
    const backend = args.backend as unknown as WasmBackend & NativeBackend;
    const native = x.dtype === "float32" ? loops(backend) : undefined;
    const run = native?.run[name];
    if (native === undefined || run === undefined) return name === "Log1p" ? slowLog1p(backend, x) : original(args);
    const out = backend.makeOutput(x.shape, "float32");
    // The last elements, which fill no vector, go through a vector of workspace: same function, same bits.
    const spareVector = native.workspace(LANES * FLOAT);
    const [from, to] = [x, out].map(({ dataId }) => backend.getMemoryOffset(dataId)) as [number, number];
    const values = backend.typedArrayFromHeap(x);
    const rest = values.length % LANES;
    const whole = values.length - rest;
    if (whole > 0) run(from, to, whole / LANES);
    if (rest > 0) {
      const spare = new Float32Array(values.buffer, spareVector, LANES);
      spare.fill(0);
      spare.set(values.subarray(whole));
      run(spareVector, spareVector, 1);
      backend.typedArrayFromHeap(out).set(spare.subarray(0, rest), whole);
    }
    return out;
  });

export const ELEMENTARY: readonly Wrapper[] = ELEMENTARY_LOOPS.map(({ name }) => elementary(name));
