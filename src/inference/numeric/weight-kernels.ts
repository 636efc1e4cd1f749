/** WebAssembly loops over log-weights, four at a time in double precision. Addresses are arguments, so chunks can be anywhere in memory. */
import { type Local, wasmFunction } from "../../core/simd/assembler.ts";
import { doubleExponential } from "../../core/simd/double-math.ts";
import { type Code, f32x4, f64x2, i32, i32x4, repeat, v128, when } from "../../core/simd/instructions.ts";
import { type Constants, constants, type NewLocal } from "../../core/simd/vector-math.ts";

/** Numbers of a chunk: they stay in the first-level cache. Each chunk is summed separately, which limits rounding errors. */
export const CHUNK = 2048;
/** Numbers in one iteration of a loop. */
export const LANES = 4;
const DOUBLE = 8;
const VECTOR = 16;
/** Bytes of a loop's sums. */
export const SUM_BYTES = 4 * VECTOR;

/** Whether numbers are floats or doubles. */
export type Width = 32 | 64;
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
const countdown = (iterations: Local): Code => iterations.tee(i32.sub(iterations.get, i32.const(1)));
const bytesOf = (width: Width): number => (LANES * width) / 8;

/** w = e^{l − max} of four numbers; instructions for the two halves alternate, so that neither waits for its own result. */
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

/** `sums(iterations, max, logs, weights, sums)`: Σw and Σw² of the log-weights, and the weights themselves. */
const sums = (width: Width) =>
  wasmFunction(`sums${width}`, ["i32", "f64", "i32", "i32", "i32"], ([iterations, max, logs, weights, out], local) => {
    const use = constants(local);
    const top = local("v128");
    const [l, w, sum, squares] = [pair(local), pair(local), pair(local), pair(local)] as const;
    return [
      use.set,
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
        countdown(iterations),
      ),
      [sum, squares].map((total, i) => v128.store(out.get, f64x2.add(total[0].get, total[1].get), i * VECTOR)),
    ];
  });

/** `moments(iterations, centre, values, weights, sums)`: Σwd, Σw²d and Σw²d² of d = h − centre, with the weights computed by `sums`. Without weight, d is 0. */
const moments = (width: Width) =>
  wasmFunction(
    `moments${width}`,
    ["i32", "f64", "i32", "i32", "i32"],
    ([iterations, centre, values, weights, out], local) => {
      const [middle, zero] = [local("v128"), local("v128")];
      const [d, w, wd] = [pair(local), pair(local), pair(local)] as const;
      const totals = [pair(local), pair(local), pair(local)] as const;
      const [first, firstSquared, secondSquared] = totals;
      const grow = (total: Local, x: Code) => total.set(f64x2.add(total.get, x));
      return [
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
          countdown(iterations),
        ),
        totals.map((total, i) => v128.store(out.get, f64x2.add(total[0].get, total[1].get), i * VECTOR)),
      ];
    },
  );

/** `largest(iterations, logs, out)`: the largest float in each lane, NaN left out. */
const largest = wasmFunction("largest", ["i32", "i32", "i32"], ([iterations, logs, out], local) => {
  const top = local("v128");
  return [
    top.set(f32x4.const(Number.NEGATIVE_INFINITY)),
    repeat([top.set(f32x4.greater(top.get, v128.load(logs.get))), advance(logs, VECTOR)], countdown(iterations)),
    v128.store(out.get, top.get),
  ];
});

/** `above(iterations, cut, logs, to, bytes)`: copies those vectors of floats in which any is not below the cut; how many bytes. */
const above = wasmFunction(
  "above",
  ["i32", "f32", "i32", "i32", "i32"],
  ([iterations, cut, logs, to, bytes], local) => {
    const [out, least, x] = [local("i32"), local("v128"), local("v128")];
    return [
      out.set(to.get),
      least.set(f32x4.splat(cut.get)),
      repeat(
        [
          x.set(v128.load(logs.get)),
          when(v128.anyTrue(v128.not(f32x4.lt(x.get, least.get))), [v128.store(out.get, x.get), advance(out, VECTOR)]),
          advance(logs, VECTOR),
        ],
        countdown(iterations),
      ),
      i32.store(bytes.get, i32.sub(out.get, to.get)),
    ];
  },
);

/** `differ(iterations, a, b, out)`: 1 where bits of the floats at two places differ, else 0. */
const differ = wasmFunction("differ", ["i32", "i32", "i32", "i32"], ([iterations, a, b, out], local) => {
  const bits = local("v128");
  return [
    bits.set(i32x4.const(0)),
    repeat(
      [
        bits.set(v128.or(bits.get, v128.xor(v128.load(a.get), v128.load(b.get)))),
        advance(a, VECTOR),
        advance(b, VECTOR),
      ],
      countdown(iterations),
    ),
    i32.store(out.get, v128.anyTrue(bits.get)),
  ];
});

export const WEIGHT_LOOPS = [sums(32), sums(64), moments(32), moments(64), largest, above, differ] as const;
