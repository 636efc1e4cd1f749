/** Buffers allocated in one WebAssembly memory, so that the SIMD loops of the optimisers run on them in place. */
import { instantiate, type WasmExports, type WasmFunction } from "../../core/simd/assembler.ts";

const PAGE = 65536;
const FLOAT = 4;
/** Bytes of a cache line. */
const ALIGNED = 64;

const memories = new WeakMap<ArrayBufferLike, WebAssembly.Memory>();

/**
 * Zero-filled buffers of these lengths in one memory of their own: all that one update reads and writes. Where that memory cannot be
 * allocated, they are plain arrays.
 */
export function arena(lengths: readonly number[]): Float32Array[] {
  const bytesOf = (length: number) => Math.ceil((length * FLOAT) / ALIGNED) * ALIGNED;
  const pages = Math.ceil(lengths.reduce((total, length) => total + bytesOf(length), ALIGNED) / PAGE);
  let memory: WebAssembly.Memory;
  try {
    memory = new WebAssembly.Memory({ initial: Math.max(1, pages) });
    memories.set(memory.buffer, memory);
  } catch {
    return lengths.map((length) => new Float32Array(length));
  }
  // The first cache line is for the results of reductions.
  let at = ALIGNED;
  return lengths.map((length) => {
    at += bytesOf(length);
    return new Float32Array(memory.buffer, at - bytesOf(length), length);
  });
}

/** Loops linked to the memory in which all of some buffers lie, once for each memory; undefined where they lie in none, or apart. */
export function loopsIn(
  functions: readonly WasmFunction[],
): (buffers: readonly Float32Array[]) => WasmExports | undefined {
  const linked = new WeakMap<WebAssembly.Memory, WasmExports | null>();
  const link = (memory: WebAssembly.Memory): WasmExports | null => {
    try {
      return instantiate(functions, memory);
    } catch {
      return null;
    }
  };
  return ([first, ...others]) => {
    const memory = first && memories.get(first.buffer);
    if (memory === undefined || !others.every(({ buffer }) => buffer === memory.buffer)) return undefined;
    const known = linked.get(memory) ?? link(memory);
    linked.set(memory, known);
    return known ?? undefined;
  };
}
