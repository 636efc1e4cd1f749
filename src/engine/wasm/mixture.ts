/**
 * log Σₖ exp(cₖ − ½ Σⱼ ((xⱼ − μₖⱼ)sₖⱼ)²) of points, and its slope in them, four components at a time in one pass: the sum is kept
 * relative to the largest term so far, so no table of points × components exists.
 */
import { type Local, type WasmFunction, wasmFunction } from "../../core/simd/assembler.ts";
import { type Code, f32, f32x4, i32, repeat, v128, when } from "../../core/simd/instructions.ts";
import {
  type Constants,
  constants,
  exponential,
  logarithm,
  type NewLocal,
  split,
} from "../../core/simd/vector-math.ts";

const LANES = 4;
const FLOAT = 4;
const VECTOR = LANES * FLOAT;
/** Vectors whose terms one accumulator takes before it is emptied into another: long naive sums lose digits. */
const BLOCK = 64;
/** Terms this far below the largest in the exponent are left out: a million of them are below the rounding of float32. */
const NEGLIGIBLE = 32;

/** How components lie: `blocks` × `length` vectors, in each c, then μⱼ and sⱼ for every axis j, four components of each. */
export interface Packing {
  readonly blocks: number;
  readonly length: number;
  readonly bytes: number;
}

export function packingOf(components: number, dimensions: number): Packing {
  const vectors = Math.ceil(components / LANES);
  const blocks = Math.max(1, Math.ceil(vectors / BLOCK));
  const length = Math.ceil(vectors / blocks);
  return { blocks, length, bytes: blocks * length * (2 * dimensions + 1) * VECTOR };
}

/** Cells along an axis of the grid by which components are put in order. */
const CELLS = 64;
/** The bits of a number below 64 with a gap after each, so that two numbers interleave (Morton code). */
const SPACED_BITS = Uint16Array.from({ length: CELLS }, (_, i) => {
  let bits = 0;
  for (let b = 0; b < 6; b++) bits |= ((i >> b) & 1) << (2 * b);
  return bits;
});

/** The cell of each value between the least and the largest; NaN is in the first. */
function cellsOf(values: Float32Array): Uint8Array {
  let [low, high] = [Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY];
  for (const v of values) {
    if (v < low) low = v;
    if (v > high) high = v;
  }
  const factor = (CELLS - 1) / (high - low);
  return Uint8Array.from(values, (v) => (v - low) * factor);
}

/**
 * Components in Morton order (a space-filling curve) of the plane of the first two axes: those that are far from a point then share
 * vectors, which are skipped whole.
 */
function mortonOrder(rows: Float32Array, components: number, dimensions: number): Uint32Array {
  const across = cellsOf(rows.subarray(0, components));
  const along = dimensions > 1 ? cellsOf(rows.subarray(components, 2 * components)) : across;
  const starts = new Uint32Array(CELLS * CELLS + 1);
  const codes = Uint16Array.from(
    across,
    (cell, k) => (SPACED_BITS[cell] as number) | ((SPACED_BITS[along[k] as number] as number) << 1),
  );
  for (const code of codes) starts[code + 1] = (starts[code + 1] as number) + 1;
  for (let c = 0; c < CELLS * CELLS; c++) starts[c + 1] = (starts[c + 1] as number) + (starts[c] as number);
  const out = new Uint32Array(components);
  codes.forEach((code, k) => {
    const place = starts[code] as number;
    out[place] = k;
    starts[code] = place + 1;
  });
  return out;
}

/** Packs rows μ₁ …, s₁ …, c of all components; places without a component have weight zero. */
export function pack(rows: Float32Array, dimensions: number, to: Float32Array): void {
  const width = 2 * dimensions + 1;
  const components = rows.length / width;
  const ordered = mortonOrder(rows, components, dimensions);
  to.fill(0);
  const put = (row: number, place: number) => {
    const from = row * components;
    for (let i = 0; i < components; i++) {
      to[((i >> 2) * width + place) * LANES + (i & 3)] = rows[from + (ordered[i] as number)] as number;
    }
  };
  put(2 * dimensions, 0);
  for (let j = 0; j < dimensions; j++) {
    put(j, 1 + 2 * j);
    put(dimensions + j, 2 + 2 * j);
  }
  // Their width is one: infinity times zero would be NaN.
  for (let i = components; i < to.length / width; i++) {
    const at = (i >> 2) * width * LANES + (i & 3);
    to[at] = Number.NEGATIVE_INFINITY;
    for (let j = 0; j < dimensions; j++) to[at + (2 + 2 * j) * LANES] = 1;
  }
}

/** A reduction over the lanes, with the result in every lane. */
const across = (combine: (a: Code, b: Code) => Code, x: Local): Code => [
  x.set(combine(x.get, v128.shuffle(x.get, x.get, [2, 3, 0, 1]))),
  x.set(combine(x.get, v128.shuffle(x.get, x.get, [1, 0, 3, 2]))),
];

const series = <T>(count: number, make: (i: number) => T): T[] => Array.from({ length: count }, (_, i) => make(i));

/** m + log S, and NaN where S is: the logarithm takes its bits for a number. */
function logOfSum(sum: Local, most: Local, out: Code, use: Constants, local: NewLocal): Code {
  const parts = split(sum.get, use, local);
  const [prepare, log] = logarithm(parts.exponent.get, parts.fraction.get, use, local);
  const value = f32x4.add(f32x4.add(most.get, log), f32x4.mul(sum.get, use.float(0)));
  return [parts.set, prepare, f32.store(out, f32x4.extract(value, 0))];
}

/** The vectors that a loop over points works with. */
interface Vectors {
  /** Coordinates of the point, the same in every lane, and their differences from four components in units of the widths. */
  readonly x: readonly Local[];
  readonly z: readonly Local[];
  /** The terms' exponents; the largest of all so far, and below what a term is negligible. */
  readonly log: Local;
  readonly most: Local;
  readonly least: Local;
  /** The terms relative to the largest, and what sums are multiplied by when the largest changes. */
  readonly weight: Local;
  readonly factor: Local;
  /** Sums of weights, and of weights times pulls: of a block, and of all blocks before it. */
  readonly sums: readonly Local[];
  readonly totals: readonly Local[];
}

function vectorsOf(dimensions: number, axes: number, local: NewLocal): Vectors {
  const vector = () => local("v128");
  return {
    x: series(dimensions, vector),
    z: series(dimensions, vector),
    log: vector(),
    most: vector(),
    least: vector(),
    weight: vector(),
    factor: vector(),
    sums: series(1 + axes, vector),
    totals: series(1 + axes, vector),
  };
}

/** Makes the largest exponent of the terms, and of their four lanes, that of all so far: sums become relative to it. */
function raiseLargest(v: Vectors, use: Constants, local: NewLocal): Code {
  const { log, most, least, weight, factor } = v;
  const [prepare, scaled] = exponential(f32x4.sub(most.get, factor.get), use, local);
  return [
    factor.set(f32x4.max(most.get, log.get)),
    across(f32x4.max, factor),
    weight.set(factor.get),
    prepare,
    factor.set(scaled),
    most.set(weight.get),
    least.set(f32x4.sub(most.get, use.float(NEGLIGIBLE))),
    [...v.sums, ...v.totals].map((sum) => sum.set(f32x4.mul(sum.get, factor.get))),
  ];
}

/** Adds the terms of four components, which lie at `at`, to the sums of the block. */
function addComponents(v: Vectors, at: Local, use: Constants, local: NewLocal): Code {
  const { x, z, log, most, least, weight, sums } = v;
  const [prepare, weighed] = exponential(f32x4.sub(log.get, most.get), use, local);
  const add: Code = [
    prepare,
    weight.set(weighed),
    sums.map((sum, i) => {
      if (i === 0) return sum.set(f32x4.add(sum.get, weight.get));
      const pull = f32x4.mul((z[i - 1] as Local).get, v128.load(at.get, 2 * i * VECTOR));
      return sum.set(f32x4.add(sum.get, f32x4.mul(weight.get, pull)));
    }),
  ];
  return [
    weight.set(use.float(0)),
    z.map((zj, j) => [
      zj.set(
        f32x4.mul(
          f32x4.sub((x[j] as Local).get, v128.load(at.get, (1 + 2 * j) * VECTOR)),
          v128.load(at.get, (2 + 2 * j) * VECTOR),
        ),
      ),
      weight.set(f32x4.add(weight.get, f32x4.mul(zj.get, zj.get))),
    ]),
    log.set(f32x4.sub(v128.load(at.get), f32x4.mul(weight.get, use.float(0.5)))),
    // Also for NaN, which is not below anything.
    when(v128.anyTrue(v128.not(f32x4.le(log.get, least.get))), [
      when(v128.anyTrue(f32x4.gt(log.get, most.get)), raiseLargest(v, use, local)),
      add,
    ]),
  ];
}

/** `name(points, values, slopes, components, n, blocks, length)` for n ≥ 1 points; `value` leaves out the slopes. */
function loop(name: "value" | "both", dimensions: number): WasmFunction {
  const axes = name === "both" ? dimensions : 0;
  const stride = (2 * dimensions + 1) * VECTOR;
  return wasmFunction(
    name,
    ["i32", "i32", "i32", "i32", "i32", "i32", "i32"],
    ([points, values, slopes, components, n, blocks, length], local) => {
      const use = constants(local);
      const [at, blocksLeft, left] = [local("i32"), local("i32"), local("i32")] as const;
      const v = vectorsOf(dimensions, axes, local);
      const { x, most, least, sums, totals } = v;
      const [total] = totals as [Local];
      const zero = (sum: Local) => sum.set(use.float(0));
      const count = (counter: Local) => counter.tee(i32.sub(counter.get, i32.const(1)));
      const advance = (address: Local, bytes: number) => address.set(i32.add(address.get, i32.const(bytes)));
      const block: Code = [
        sums.map(zero),
        left.set(length.get),
        repeat([addComponents(v, at, use, local), advance(at, stride)], count(left)),
        totals.map((sum, i) => sum.set(f32x4.add(sum.get, (sums[i] as Local).get))),
      ];
      const storeSlopes = totals.slice(1).map((sum, j) => {
        const slope = f32x4.neg(f32x4.div(sum.get, total.get));
        return f32.store(slopes.get, f32x4.extract(slope, 0), j * FLOAT);
      });
      const point: Code = [
        x.map((xj, j) => xj.set(v128.load32Splat(points.get, j * FLOAT))),
        totals.map(zero),
        most.set(use.float(Number.NEGATIVE_INFINITY)),
        least.set(most.get),
        at.set(components.get),
        blocksLeft.set(blocks.get),
        repeat(block, count(blocksLeft)),
        totals.map((sum) => across(f32x4.add, sum)),
        storeSlopes,
        logOfSum(total, most, values.get, use, local),
        advance(points, dimensions * FLOAT),
        advance(values, FLOAT),
        advance(slopes, axes * FLOAT),
      ];
      return [use.set, repeat(point, count(n))];
    },
  );
}

/** The loops for points of so many dimensions, unrolled over the axes. */
export const mixtureLoops = (dimensions: number): readonly WasmFunction[] => [
  loop("value", dimensions),
  loop("both", dimensions),
];
