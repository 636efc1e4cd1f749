/**
 * A small assembler of WebAssembly: modules of a few SIMD loops are written as expressions in TypeScript and assembled when they
 * are first needed, so the package needs no toolchain and no binary file.
 */
import { type Code, f32x4, i32, unsigned, v128 } from "./instructions.ts";

/** The type of a variable. */
export type Type = "i32" | "f32" | "f64" | "v128";
const TYPES: { readonly [type in Type]: number } = { i32: 0x7f, f32: 0x7d, f64: 0x7c, v128: 0x7b };

/** A variable of a function. */
export interface Local {
  readonly get: Code;
  set(value: Code): Code;
  /** Sets it and leaves the value. */
  tee(value: Code): Code;
}

/** A function of a module. It returns nothing. */
export interface WasmFunction {
  readonly name: string;
  readonly params: readonly Type[];
  readonly locals: readonly Type[];
  readonly body: Code;
}

/**
 * Writes a function: `write` is handed a variable for each parameter and a maker of further ones, and returns the body.
 */
export function wasmFunction<const P extends readonly Type[]>(
  name: string,
  params: P,
  write: (params: { readonly [i in keyof P]: Local }, local: (type: Type) => Local) => Code,
): WasmFunction {
  const locals: Type[] = [];
  const variable = (index: number): Local => ({
    get: [0x20, ...unsigned(index)],
    set: (value) => [value, 0x21, ...unsigned(index)],
    tee: (value) => [value, 0x22, ...unsigned(index)],
  });
  const local = (type: Type) => variable(params.length + locals.push(type) - 1);
  const body = write(params.map((_, i) => variable(i)) as { readonly [i in keyof P]: Local }, local);
  return { name, params, locals, body };
}

const flat = (code: Code): number[] => (code as readonly unknown[]).flat(Number.POSITIVE_INFINITY) as number[];
const counted = (items: readonly Code[]): Code => [...unsigned(items.length), ...items];
const sized = (bytes: Code): Code => {
  const all = flat(bytes);
  return [...unsigned(all.length), ...all];
};
const section = (id: number, items: readonly Code[]): Code => [id, sized(counted(items))];
const text = (name: string): Code => counted([...new TextEncoder().encode(name)].map((byte) => [byte]));

const bodies = new WeakMap<WasmFunction, Code>();
/** The bytes of a function; kept, as the same loops are assembled for memories of both kinds. */
function bodyOf(of: WasmFunction): Code {
  const known = bodies.get(of);
  if (known !== undefined) return known;
  const bytes = sized([counted(of.locals.map((type) => [1, TYPES[type]])), of.body, 0x0b]);
  bodies.set(of, bytes);
  return bytes;
}

/** Largest memory a module may be given, in pages of 64 kB. */
const MAX_PAGES = 65536;

/** A module of these functions over a memory that it imports as `env.memory`; a memory that threads share has to be declared so. */
export function assemble(functions: readonly WasmFunction[], shared = false): Uint8Array<ArrayBuffer> {
  const limits = shared ? [0x03, 0, ...unsigned(MAX_PAGES)] : [0x00, 0];
  return Uint8Array.from(
    flat([
      [0x00, 0x61, 0x73, 0x6d, 1, 0, 0, 0],
      section(
        1,
        functions.map(({ params }) => [0x60, counted(params.map((type) => [TYPES[type]])), 0]),
      ),
      section(2, [[text("env"), text("memory"), 0x02, ...limits]]),
      section(
        3,
        functions.map((_, i) => unsigned(i)),
      ),
      section(
        7,
        functions.map(({ name }, i) => [text(name), 0x00, ...unsigned(i)]),
      ),
      section(10, functions.map(bodyOf)),
    ]),
  );
}

/** Functions of an assembled module, by name. */
export type WasmExports = { readonly [name: string]: (...args: number[]) => void };

/** Whether threads can share a memory. */
export const isShared = (memory: WebAssembly.Memory): boolean =>
  typeof SharedArrayBuffer !== "undefined" && memory.buffer instanceof SharedArrayBuffer;

/** Assembles and compiles, for a memory like this one: synchronous, as modules are small. */
export const compile = (functions: readonly WasmFunction[], memory: WebAssembly.Memory): WebAssembly.Module =>
  new WebAssembly.Module(assemble(functions, isShared(memory)));

/** Links a compiled module to a memory. */
export const link = (module: WebAssembly.Module, memory: WebAssembly.Memory): WasmExports =>
  new WebAssembly.Instance(module, { env: { memory } }).exports as WasmExports;

/** Assembles, compiles and links. */
export const instantiate = (functions: readonly WasmFunction[], memory: WebAssembly.Memory): WasmExports =>
  link(compile(functions, memory), memory);

/** Whether the machine knows {@link f32x4.relaxedMadd}. */
export function hasFusedProducts(): boolean {
  const zero = f32x4.const(0);
  const probe = wasmFunction("probe", [], () => v128.store(i32.const(0), f32x4.relaxedMadd(zero, zero, zero)));
  return WebAssembly.validate(assemble([probe]));
}
