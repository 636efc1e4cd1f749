/** Loops over log-weights, four at a time in double precision: e^{l − max}, its sums, and weighted sums of a function of the draws. */
import {
  type Code,
  f32x4,
  f64x2,
  i32,
  instantiate,
  type Local,
  repeat,
  v128,
  type WasmExports,
  wasmFunction,
  when,
} from "../core/wasm/assembler.ts";
import { doubleExponential } from "../core/wasm/double-math.ts";
import { type Constants, constants, type NewLocal } from "../core/wasm/vector-math.ts";

/** Numbers at a time: they stay in the first-level cache. Sums of so many are added up apart, which keeps their digits. */
const CHUNK = 2048;
const LANES = 4;
const DOUBLE = 8;
const VECTOR = 16;
const PAGE = 65536;
/** Where log-weights, values, weights and sums lie. */
const [LOGS, VALUES, WEIGHTS, SUMS] = [0, CHUNK * DOUBLE, 2 * CHUNK * DOUBLE, 3 * CHUNK * DOUBLE];
const SUM_VECTORS = 8;

type Width = 32 | 64;
type Pair = readonly [Local, Local];

const both = (make: (half: 0 | 1) => Code): Code[] => [make(0), make(1)];
const pair = (local: NewLocal): Pair => [local("v128"), local("v128")];

/** The four numbers at an address, as two pairs of doubles. */
function read(width: Width, at: Local, to: Pair): Code {
  if (width === 64) return both((h) => to[h].set(v128.load(at.get, h * VECTOR)));
  return [
    to[1].set(v128.load(at.get)),
    to[0].set(f64x2.promote(to[1].get)),
    to[1].set(f64x2.promote(v128.shuffle(to[1].get, to[1].get, [2, 3, 2, 3]))),
  ];
}

const advance = (at: Local, bytes: number): Code => at.set(i32.add(at.get, i32.const(bytes)));
const countdown = (turns: Local): Code => turns.tee(i32.sub(turns.get, i32.const(1)));
const bytesOf = (width: Width): number => (LANES * width) / 8;

/** w = e^{l − max} of four numbers; steps of the two halves take turns, so that neither waits for itself. */
function exponentials(l: Pair, max: Code, w: Pair, use: Constants, local: NewLocal): Code {
  const [[first, low], [second, high]] = l.map((x) => doubleExponential(x.get, use, local)) as [
    readonly [readonly Code[], Code],
    readonly [readonly Code[], Code],
  ];
  return [
    both((h) => l[h].set(f64x2.sub(l[h].get, max))),
    first.map((step, i) => [step, second[i] as Code]),
    w[0].set(low),
    w[1].set(high),
  ];
}

/** `sums(turns, max)`: Σw and Σw² of the log-weights, and the weights themselves. */
const sums = (width: Width) =>
  wasmFunction(`sums${width}`, ["i32", "f64"], ([turns, max], local) => {
    const use = constants(local);
    const [logs, weights, top] = [local("i32"), local("i32"), local("v128")];
    const [l, w, sum, squares] = [pair(local), pair(local), pair(local), pair(local)] as const;
    return [
      use.set,
      logs.set(i32.const(LOGS)),
      weights.set(i32.const(WEIGHTS)),
      top.set(f64x2.splat(max.get)),
      both((h) => [sum[h].set(f64x2.const(0)), squares[h].set(f64x2.const(0))]),
      repeat(
        [
          read(width, logs, l),
          exponentials(l, top.get, w, use, local),
          both((h) => [
            v128.store(weights.get, w[h].get, h * VECTOR),
            sum[h].set(f64x2.add(sum[h].get, w[h].get)),
            squares[h].set(f64x2.add(squares[h].get, f64x2.mul(w[h].get, w[h].get))),
          ]),
          advance(logs, bytesOf(width)),
          advance(weights, LANES * DOUBLE),
        ],
        countdown(turns),
      ),
      [sum, squares].map((total, i) => v128.store(i32.const(SUMS), f64x2.add(total[0].get, total[1].get), i * VECTOR)),
    ];
  });

/** `moments(turns, centre)`: Σwd, Σw²d and Σw²d² of d = h − centre, with the weights that `sums` has left. Without weight, d is 0. */
const moments = (width: Width) =>
  wasmFunction(`moments${width}`, ["i32", "f64"], ([turns, centre], local) => {
    const [values, weights, middle, zero] = [local("i32"), local("i32"), local("v128"), local("v128")];
    const [d, w, wd] = [pair(local), pair(local), pair(local)] as const;
    const totals = [pair(local), pair(local), pair(local)] as const;
    const [first, firstSquared, secondSquared] = totals;
    const grow = (total: Local, x: Code) => total.set(f64x2.add(total.get, x));
    return [
      values.set(i32.const(VALUES)),
      weights.set(i32.const(WEIGHTS)),
      middle.set(f64x2.splat(centre.get)),
      zero.set(f64x2.const(0)),
      totals.map((total) => both((h) => total[h].set(zero.get))),
      repeat(
        [
          read(width, values, d),
          both((h) => w[h].set(v128.load(weights.get, h * VECTOR))),
          both((h) => d[h].set(v128.andNot(f64x2.sub(d[h].get, middle.get), f64x2.eq(w[h].get, zero.get)))),
          both((h) => wd[h].set(f64x2.mul(w[h].get, d[h].get))),
          both((h) => [
            grow(first[h], wd[h].get),
            grow(firstSquared[h], f64x2.mul(w[h].get, wd[h].get)),
            grow(secondSquared[h], f64x2.mul(wd[h].get, wd[h].get)),
          ]),
          advance(values, bytesOf(width)),
          advance(weights, LANES * DOUBLE),
        ],
        countdown(turns),
      ),
      totals.map((total, i) => v128.store(i32.const(SUMS), f64x2.add(total[0].get, total[1].get), i * VECTOR)),
    ];
  });

/** `most(turns)`: the largest float in each lane, NaN left out. */
const most = wasmFunction("most", ["i32"], ([turns], local) => {
  const [logs, top] = [local("i32"), local("v128")];
  return [
    logs.set(i32.const(LOGS)),
    top.set(f32x4.const(Number.NEGATIVE_INFINITY)),
    repeat([top.set(f32x4.greater(top.get, v128.load(logs.get))), advance(logs, VECTOR)], countdown(turns)),
    v128.store(i32.const(SUMS), top.get),
  ];
});

/** `above(turns, cut)`: copies those vectors of floats in which any is not below the cut, to where weights lie; how many bytes. */
const above = wasmFunction("above", ["i32", "f32"], ([turns, cut], local) => {
  const [logs, out, least, x] = [local("i32"), local("i32"), local("v128"), local("v128")];
  return [
    logs.set(i32.const(LOGS)),
    out.set(i32.const(WEIGHTS)),
    least.set(f32x4.splat(cut.get)),
    repeat(
      [
        x.set(v128.load(logs.get)),
        when(v128.anyTrue(v128.not(f32x4.lt(x.get, least.get))), [v128.store(out.get, x.get), advance(out, VECTOR)]),
        advance(logs, VECTOR),
      ],
      countdown(turns),
    ),
    i32.store(i32.const(SUMS), i32.sub(out.get, i32.const(WEIGHTS))),
  ];
});

interface Machine {
  readonly run: WasmExports;
  readonly floats: Float32Array;
  readonly doubles: Float64Array;
  readonly valueFloats: Float32Array;
  readonly valueDoubles: Float64Array;
  readonly weights: Float64Array;
  readonly sums: Float64Array;
}

let machine: Machine | undefined;

function start(): Machine {
  const memory = new WebAssembly.Memory({ initial: Math.ceil((SUMS + SUM_VECTORS * VECTOR) / PAGE) });
  const { buffer } = memory;
  return {
    run: instantiate([sums(32), sums(64), moments(32), moments(64), most, above], memory),
    floats: new Float32Array(buffer, LOGS, CHUNK),
    doubles: new Float64Array(buffer, LOGS, CHUNK),
    valueFloats: new Float32Array(buffer, VALUES, CHUNK),
    valueDoubles: new Float64Array(buffer, VALUES, CHUNK),
    weights: new Float64Array(buffer, WEIGHTS, CHUNK),
    sums: new Float64Array(buffer, SUMS, 2 * SUM_VECTORS),
  };
}

/** Copies numbers `from` to before `to` to where the loops read them; returns their width. Doubles stay what they are. */
function place(x: ArrayLike<number>, from: number, to: number, floats: Float32Array, doubles: Float64Array): Width {
  if (x instanceof Float32Array) {
    floats.set(x.subarray(from, to));
    return 32;
  }
  for (let i = from; i < to; i++) doubles[i - from] = x[i] as number;
  return 64;
}

/** Weights of log-weights `from` to before `to`; places up to a whole turn have weight zero. */
function weigh(
  { run, floats, doubles }: Machine,
  logWeights: ArrayLike<number>,
  max: number,
  from: number,
  to: number,
): number {
  const width = place(logWeights, from, to, floats, doubles);
  const turns = Math.ceil((to - from) / LANES);
  (width === 32 ? floats : doubles).fill(Number.NEGATIVE_INFINITY, to - from, turns * LANES);
  run[`sums${width}`]?.(turns, max);
  return turns;
}

/** Calls `each` for part after part. */
function parts(n: number, each: (from: number, to: number) => void): void {
  for (let from = 0; from < n; from += CHUNK) each(from, Math.min(from + CHUNK, n));
}

/** The largest of some numbers, NaN left out; −∞ for none. */
export function largestOf(x: ArrayLike<number>): number {
  let max = Number.NEGATIVE_INFINITY;
  if (!(x instanceof Float32Array)) {
    for (let i = 0; i < x.length; i++) if ((x[i] as number) > max) max = x[i] as number;
    return max;
  }
  machine ??= start();
  const { run, floats } = machine;
  const lanes = new Float32Array(machine.sums.buffer, SUMS, LANES);
  parts(x.length, (from, to) => {
    floats.set(x.subarray(from, to));
    const turns = Math.ceil((to - from) / LANES);
    floats.fill(Number.NEGATIVE_INFINITY, to - from, turns * LANES);
    run.most?.(turns);
    for (const lane of lanes) if (lane > max) max = lane;
  });
  return max;
}

/** Hands on every number that is not below the cut, NaN too, in order, until `take` says no. */
export function notBelow(x: ArrayLike<number>, cut: number, take: (value: number) => boolean): void {
  // Places that fill the last vector hold −∞, which must not be found.
  if (!(x instanceof Float32Array) || !(cut > Number.NEGATIVE_INFINITY)) {
    for (let i = 0; i < x.length; i++) if (!((x[i] as number) < cut) && !take(x[i] as number)) return;
    return;
  }
  machine ??= start();
  const { run, floats, sums } = machine;
  const found = new Float32Array(sums.buffer, WEIGHTS, CHUNK);
  const bytes = new Int32Array(sums.buffer, SUMS, 1);
  for (let from = 0; from < x.length; from += CHUNK) {
    const to = Math.min(from + CHUNK, x.length);
    floats.set(x.subarray(from, to));
    const turns = Math.ceil((to - from) / LANES);
    floats.fill(Number.NEGATIVE_INFINITY, to - from, turns * LANES);
    run.above?.(turns, cut);
    const size = (bytes[0] as number) / Float32Array.BYTES_PER_ELEMENT;
    for (let i = 0; i < size; i++) if (!((found[i] as number) < cut) && !take(found[i] as number)) return;
  }
}

/** Σ e^{l − max} and Σ e^{2(l − max)}; weights below e⁻⁷⁰⁸ count as zero. `each` is handed the weights of part after part. */
export function exponentialSums(
  logWeights: ArrayLike<number>,
  max: number,
  each?: (weights: Float64Array, from: number) => void,
): { readonly sum: number; readonly squares: number } {
  machine ??= start();
  const here = machine;
  let [sum, squares] = [0, 0];
  parts(logWeights.length, (from, to) => {
    weigh(here, logWeights, max, from, to);
    sum += (here.sums[0] as number) + (here.sums[1] as number);
    squares += (here.sums[2] as number) + (here.sums[3] as number);
    each?.(here.weights.subarray(0, to - from), from);
  });
  return { sum, squares };
}

/** Weighted moments of a function of the draws, taken part after part. */
export interface ExpectationStream {
  /** Takes some values with the log-weights of their draws. */
  add(values: ArrayLike<number>, logWeights: ArrayLike<number>): void;
  /** Σwh/Σw and √Σw²(h − μ)²/Σw. */
  result(): { readonly value: number; readonly standardError: number };
}

/**
 * The self-normalised mean and its standard error in one pass. Deviations are taken from the mean of all parts before, so that no
 * digits are lost to cancellation. A draw without weight may have any value.
 */
export function expectationStream(max: number): ExpectationStream {
  machine ??= start();
  const here = machine;
  const { run, valueFloats, valueDoubles, sums } = here;
  const total = (i: number) => (sums[2 * i] as number) + (sums[2 * i + 1] as number);
  let [centre, weight, squares, first, firstSquared, secondSquared] = [0, 0, 0, 0, 0, 0];
  return {
    add(values, logWeights) {
      parts(values.length, (from, to) => {
        const turns = weigh(here, logWeights, max, from, to);
        const [partWeight, partSquares] = [total(0), total(1)];
        const loop = run[`moments${place(values, from, to, valueFloats, valueDoubles)}`];
        if (weight === 0 && partWeight > 0) {
          loop?.(turns, 0);
          centre = total(0) / partWeight;
        }
        loop?.(turns, centre);
        weight += partWeight;
        squares += partSquares;
        first += total(0);
        firstSquared += total(1);
        secondSquared += total(2);
        // Sums about the mean so far, from those about the last one.
        if (!(weight > 0)) return;
        const shift = first / weight;
        centre += shift;
        secondSquared += shift * (shift * squares - 2 * firstSquared);
        firstSquared -= shift * squares;
        first = 0;
      });
    },
    result: () => ({
      value: weight > 0 ? centre : Number.NaN,
      standardError: Math.sqrt(Math.max(0, secondSquared)) / weight,
    }),
  };
}
