/** The instructions of WebAssembly that the loops of this package use: expressions in TypeScript whose values are bytes. */

/** Instructions, in the order in which they run: bytes, nested as the expressions that gave them. */
export type Code = readonly (number | Code)[];

/** The type of a block that leaves no value. */
const EMPTY_BLOCK = 0x40;

/** A whole number, unsigned, seven bits a byte (LEB128). */
export function unsigned(value: number): number[] {
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
  /** x·y + z, rounded once or twice as the machine has it (relaxed SIMD: see `hasFusedProducts`). */
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

/** Runs `body` once, and again as long as the condition after it holds. */
export const repeat = (body: Code, again: Code): Code => [0x03, EMPTY_BLOCK, body, again, 0x0d, 0x00, 0x0b];
/** Runs `body` if the condition holds. */
export const when = (condition: Code, body: Code): Code => [condition, 0x04, EMPTY_BLOCK, body, 0x0b];
