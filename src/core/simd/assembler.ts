/**
 * A small assembler of WebAssembly: modules of a few SIMD loops are written as expressions in TypeScript and assembled when they
 * are first needed, so the package needs no toolchain and no binary file.
 */

/** Instructions, in the order in which they run: bytes, nested as the expressions that gave them. */
export type Code = readonly (number | Code)[];

export type Type = "i32" | "f32" | "f64" | "v128";
const TYPES: { readonly [type in Type]: number } = { i32: 0x7f, f32: 0x7d, f64: 0x7c, v128: 0x7b };
const EMPTY_BLOCK = 0x40;

/** A whole number, unsigned, seven bits a byte (LEB128). */
function unsigned(value: number): number[] {
  const bytes: number[] = [];
  let rest = value;
  do {
    bytes.push((rest & 0x7f) | (rest > 0x7f ? 0x80 : 0));
    rest = Math.floor(rest / 0x80);
  } while (rest > 0);
  return bytes;
}

/** A signed 32-bit number, seven bits a byte. */
function signed(value: number): number[] {
  const bytes: number[] = [];
  let rest = value | 0;
  for (;;) {
    const byte = rest & 0x7f;
    rest >>= 7;
    if ((rest === 0 && (byte & 0x40) === 0) || (rest === -1 && (byte & 0x40) !== 0)) return [...bytes, byte];
    bytes.push(byte | 0x80);
  }
}

const float32 = (value: number): number[] => [...new Uint8Array(Float32Array.of(value).buffer)];
const float64 = (value: number): number[] => [...new Uint8Array(Float64Array.of(value).buffer)];

/** Instruction `op` on operands. */
const plain =
  (op: number) =>
  (...operands: Code[]): Code => [...operands, op];
/** The same for the instructions of SIMD, which have a prefix. */
const simd = (op: number) => {
  const bytes = [0xfd, ...unsigned(op)];
  return (...operands: Code[]): Code => [...operands, bytes];
};
const load =
  (op: readonly number[]) =>
  (address: Code, offset = 0): Code => [address, [...op, 0, ...unsigned(offset)]];
const store =
  (op: readonly number[]) =>
  (address: Code, value: Code, offset = 0): Code => [address, value, [...op, 0, ...unsigned(offset)]];
const shift = (op: number) => {
  const instruction = simd(op);
  return (x: Code, by: number): Code => instruction(x, i32.const(by));
};
/** An instruction that names one lane. */
const lane = (op: number) => (x: Code, index: number) => [x, [0xfd, ...unsigned(op), index]];

export const i32 = {
  const: (value: number): Code => [0x41, ...signed(value)],
  load: load([0x28]),
  store: store([0x36]),
  eqz: plain(0x45),
  ltU: plain(0x49),
  gtU: plain(0x4b),
  geU: plain(0x4f),
  add: plain(0x6a),
  sub: plain(0x6b),
  mul: plain(0x6c),
  and: plain(0x71),
  xor: plain(0x73),
  shl: plain(0x74),
  shrU: plain(0x76),
};

export const f32 = {
  const: (value: number): Code => [0x43, ...float32(value)],
  load: load([0x2a]),
  store: store([0x38]),
  add: plain(0x92),
  sub: plain(0x93),
  mul: plain(0x94),
  div: plain(0x95),
  /** Rounds a double. */
  demote: plain(0xb6),
};

export const f64 = {
  const: (value: number): Code => [0x44, ...float64(value)],
  load: load([0x2b]),
  store: store([0x39]),
  sqrt: plain(0x9f),
  add: plain(0xa0),
  sub: plain(0xa1),
  mul: plain(0xa2),
  div: plain(0xa3),
  promote: plain(0xbb),
};

export const v128 = {
  load: load([0xfd, 0x00]),
  load32Splat: load([0xfd, 0x09]),
  load64Splat: load([0xfd, 0x0a]),
  /** Two floats into the low half, zeros above. */
  load64Zero: load([0xfd, 0x5d]),
  store: store([0xfd, 0x0b]),
  store64Low: (address: Code, value: Code, offset = 0): Code => [
    address,
    value,
    [0xfd, ...unsigned(0x5b), 0, ...unsigned(offset), 0],
  ],
  /** Lanes of 32 bits chosen from the eight of two vectors. */
  shuffle: (a: Code, b: Code, lanes: readonly [number, number, number, number]): Code => [
    a,
    b,
    [0xfd, 0x0d, ...lanes.flatMap((l) => [4 * l, 4 * l + 1, 4 * l + 2, 4 * l + 3])],
  ],
  not: simd(0x4d),
  and: simd(0x4e),
  or: simd(0x50),
  xor: simd(0x51),
  /** Bits of the first where the mask is set, of the second elsewhere. */
  select: simd(0x52),
  /** Bits of the first where those of the second are not set. */
  andNot: simd(0x4f),
  anyTrue: simd(0x53),
};

export const i32x4 = {
  splat: simd(0x11),
  const: (...lanes: readonly number[]): Code => [
    0xfd,
    0x0c,
    ...new Uint8Array(Int32Array.from({ length: 4 }, (_, i) => lanes[i % lanes.length] as number).buffer),
  ],
  eq: simd(0x37),
  shl: shift(0xab),
  shrS: shift(0xac),
  shrU: shift(0xad),
  add: simd(0xae),
  sub: simd(0xb1),
  extract: lane(0x1b),
  /** Truncation, saturating. */
  fromFloat: simd(0xf8),
};

export const f32x4 = {
  splat: simd(0x13),
  const: (value: number): Code => [0xfd, 0x0c, ...[0, 1, 2, 3].flatMap(() => float32(value))],
  extract: lane(0x1f),
  eq: simd(0x41),
  lt: simd(0x43),
  gt: simd(0x44),
  le: simd(0x45),
  abs: simd(0xe0),
  neg: simd(0xe1),
  sqrt: simd(0xe3),
  add: simd(0xe4),
  sub: simd(0xe5),
  mul: simd(0xe6),
  div: simd(0xe7),
  min: simd(0xe8),
  max: simd(0xe9),
  /** The second where it is greater, else the first: also where either is NaN. */
  greater: simd(0xeb),
  nearest: simd(0x6a),
  /** x·y + z, rounded once or twice as the machine has it (relaxed SIMD: see {@link hasFusedProducts}). */
  relaxedMadd: simd(0x105),
  fromSigned: simd(0xfa),
  fromUnsigned: simd(0xfb),
  /** Two doubles rounded into the low half. */
  demote: simd(0x5e),
};

export const f64x2 = {
  splat: simd(0x14),
  const: (value: number): Code => [0xfd, 0x0c, ...float64(value), ...float64(value)],
  sqrt: simd(0xef),
  add: simd(0xf0),
  sub: simd(0xf1),
  mul: simd(0xf2),
  div: simd(0xf3),
  eq: simd(0x47),
  lt: simd(0x49),
  /** The two floats of the low half. */
  promote: simd(0x5f),
};

export const i64x2 = {
  const: (value: bigint): Code => [0xfd, 0x0c, ...new Uint8Array(BigInt64Array.of(value, value).buffer)],
  shl: shift(0xcb),
  add: simd(0xce),
};

/** A variable of a function. */
export interface Local {
  readonly get: Code;
  set(value: Code): Code;
  /** Sets it and leaves the value. */
  tee(value: Code): Code;
}

/** Runs `body` once, and again as long as the condition after it holds. */
export const repeat = (body: Code, again: Code): Code => [0x03, EMPTY_BLOCK, body, again, 0x0d, 0x00, 0x0b];
/** Runs `body` if the condition holds. */
export const when = (condition: Code, body: Code): Code => [condition, 0x04, EMPTY_BLOCK, body, 0x0b];

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
