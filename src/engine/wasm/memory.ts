/** SIMD loops linked to the memory of tfjs's wasm engine: they run on its tensors in place. */
import { instantiate, type WasmExports, type WasmFunction } from "../../core/simd/assembler.ts";

/** What is used of tfjs's backend; `wasm` is the module that Emscripten made. */
export interface NativeBackend {
  getMemoryOffset(dataId: object): number;
  readonly wasm: {
    readonly asm?: { readonly [name: string]: unknown };
    /** The memory, where threads share it. */
    readonly wasmMemory?: unknown;
    _malloc(bytes: number): number;
    _free(address: number): void;
  };
}

/** Loops linked to one backend, and a workspace that lives as long as it. */
export interface Native {
  readonly run: WasmExports;
  /** The address of a scratch buffer of at least so many bytes; a larger request may move it and discard its contents. */
  workspace(bytes: number): number;
}

const ALIGNMENT = 16;

/**
 * Links functions to the memory of a backend, once for each.
 *
 * @returns a function from backend to loops; undefined where the memory is out of reach or the machine has no SIMD.
 */
export function nativeLoops(functions: () => readonly WasmFunction[]): (backend: NativeBackend) => Native | undefined {
  const linked = new WeakMap<object, Native | null>();
  return (backend) => {
    const { wasm } = backend;
    const known = linked.get(wasm);
    if (known !== undefined) return known ?? undefined;
    const native = link(wasm, functions());
    linked.set(wasm, native ?? null);
    return native;
  };
}

function link(wasm: NativeBackend["wasm"], functions: readonly WasmFunction[]): Native | undefined {
  const memory = wasm.asm?.memory ?? wasm.wasmMemory;
  if (!(memory instanceof WebAssembly.Memory)) return undefined;
  let run: WasmExports;
  try {
    run = instantiate(functions, memory);
  } catch {
    return undefined;
  }
  let [address, size] = [0, 0];
  const workspace = (bytes: number): number => {
    if (bytes > size) {
      if (size > 0) wasm._free(address);
      size = bytes;
      address = wasm._malloc(bytes + ALIGNMENT) >>> 0;
    }
    return address + ALIGNMENT - (address % ALIGNMENT);
  };
  return { run, workspace };
}
