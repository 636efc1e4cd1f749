/**
 * The inner loops of bulk draws: Threefry-2x32 on four lanes, and the functions that turn its words into uniform, normal,
 * exponential and Gumbel draws in place. Only + − × ÷ √ of IEEE floats and operations on bits, so that draws are the same,
 * bit for bit, on every machine; `Math.log` is not.
 */

import { GROUPS, PARITY, ROTATIONS } from "../key.ts";
import { type Local, type WasmFunction, wasmFunction } from "../simd/assembler.ts";
import { type Code, f32x4, i32, i32x4, repeat, v128, when } from "../simd/instructions.ts";
import { type Constants, constants, logarithm, type NewLocal, polynomial, split } from "../simd/vector-math.ts";

/** Bytes of a vector. */
const VECTOR = 16;
/** Vectors of counters in one iteration: the rounds of one alone would each wait for the one before. */
const UNROLLED_COUNTERS = 4;
/** Words of the counters that share the upper half. */
export const WORDS_PER_HIGH = 2 ** 33;
/** Words that one iteration of `bits` writes: two for each counter. */
export const WORDS_PER_ITERATION = UNROLLED_COUNTERS * 8;

/** The body of a loop over arguments that are local variables. The loop changes them. */
export type Loop<Args extends readonly Local[]> = (args: Args, local: NewLocal) => Code;

/** `bits(key hi, key lo, counter hi, counter lo, address, iterations)`. */
export const bits: Loop<readonly [Local, Local, Local, Local, Local, Local]> = (args, local) => {
  const [keyHi, keyLo, counterHi, counterLo, address, iterations] = args;
  const schedule = [local("v128"), local("v128"), local("v128")] as const;
  const scheduled = (i: number) => (schedule[i % 3] as Local).get;
  const counter = local("v128");
  const streams = Array.from({ length: UNROLLED_COUNTERS }, () => ({ x0: local("v128"), x1: local("v128") }));
  const rotated = (x: Code, by: number) => v128.or(i32x4.shl(x, by), i32x4.shrU(x, 32 - by));
  const rounds: Code[] = [];
  for (let group = 0; group < GROUPS; group++) {
    for (let i = 0; i < 4; i++) {
      const rotation = ROTATIONS[(group % 2) * 4 + i] as number;
      for (const { x0, x1 } of streams) rounds.push(x0.set(i32x4.add(x0.get, x1.get)));
      for (const { x0, x1 } of streams) rounds.push(x1.set(v128.xor(rotated(x1.get, rotation), x0.get)));
    }
    for (const { x0, x1 } of streams) {
      rounds.push(x0.set(i32x4.add(x0.get, scheduled(group + 1))));
      rounds.push(x1.set(i32x4.add(x1.get, i32x4.add(scheduled(group + 2), i32x4.const(group + 1)))));
    }
  }
  return [
    schedule[0].set(i32x4.splat(keyHi.get)),
    schedule[1].set(i32x4.splat(keyLo.get)),
    schedule[2].set(i32x4.splat(i32.xor(i32.xor(keyHi.get, keyLo.get), i32.const(PARITY)))),
    counter.set(i32x4.add(i32x4.splat(counterLo.get), i32x4.const(0, 1, 2, 3))),
    repeat(
      [
        streams.map(({ x0, x1 }, s) => [
          x0.set(i32x4.add(i32x4.splat(counterHi.get), schedule[0].get)),
          x1.set(i32x4.add(i32x4.add(counter.get, i32x4.const(4 * s)), schedule[1].get)),
        ]),
        rounds,
        streams.map(({ x0, x1 }, s) => [
          v128.store(address.get, v128.shuffle(x0.get, x1.get, [0, 4, 1, 5]), 2 * s * VECTOR),
          v128.store(address.get, v128.shuffle(x0.get, x1.get, [2, 6, 3, 7]), (2 * s + 1) * VECTOR),
        ]),
        counter.set(i32x4.add(counter.get, i32x4.const(4 * UNROLLED_COUNTERS))),
        address.set(i32.add(address.get, i32.const(WORDS_PER_ITERATION * 4))),
      ],
      iterations.tee(i32.sub(iterations.get, i32.const(1))),
    ),
  ];
};

/** A function of a vector: setup code, code that runs only if a condition holds in some lane, and the value. */
interface Transform {
  readonly setup: Code;
  readonly branch?: { readonly where: Code; readonly run: Code };
  readonly value: Code;
}

/** Vectors in one iteration of a transform, as one alone would wait for itself. */
const UNROLLED_VECTORS = 2;
/** Words that one iteration of a transform takes. */
export const WORDS_PER_TRANSFORM = UNROLLED_VECTORS * 4;

/** A function of the vectors at `address`, in place: `name(address, iterations)`. */
const inPlace =
  (write: (word: Code, use: Constants, local: NewLocal) => Transform): Loop<readonly [Local, Local]> =>
  ([address, iterations], local) => {
    const use = constants(local);
    const at = (i: number) => i * VECTOR;
    const vectors = Array.from({ length: UNROLLED_VECTORS }, (_, i) =>
      write(v128.load(address.get, at(i)), use, local),
    );
    const rare = vectors.flatMap(({ branch }) => branch ?? []);
    return [
      use.set,
      repeat(
        [
          vectors.map(({ setup }) => setup),
          rare.length === 0
            ? []
            : when(
                v128.anyTrue(rare.map(({ where }) => where).reduce((x, y) => v128.or(x, y))),
                rare.map(({ run }) => run),
              ),
          vectors.map(({ value }, i) => v128.store(address.get, value, at(i))),
          address.set(i32.add(address.get, i32.const(UNROLLED_VECTORS * VECTOR))),
        ],
        iterations.tee(i32.sub(iterations.get, i32.const(1))),
      ),
    ];
  };

/** u = (⌊word / 2⁹⌋ + ½)/2²³: exact, between 2⁻²⁴ and 1 − 2⁻²⁴. */
export const uniform = inPlace((word, use) => ({
  setup: [],
  value: f32x4.mul(f32x4.add(f32x4.fromSigned(i32x4.shrU(word, 9)), use.float(0.5)), use.float(2 ** -23)),
}));

/** −log u for u = (word + ½)/2³²; near u = 1 from 1 − u, which is exact where u is not. */
function exponentialOf(word: Code, use: Constants, local: NewLocal): Transform {
  const raw = local("v128");
  const u = local("v128");
  const parts = split(u.get, use, local);
  const fromAbove = f32x4.neg(
    f32x4.mul(f32x4.add(f32x4.fromUnsigned(v128.not(raw.get)), use.float(0.5)), use.float(2 ** -32)),
  );
  const [prepare, log] = logarithm(parts.exponent.get, parts.fraction.get, use, local);
  return {
    setup: [
      raw.set(word),
      u.set(f32x4.mul(f32x4.add(f32x4.fromUnsigned(raw.get), use.float(0.5)), use.float(2 ** -32))),
      parts.set,
      parts.fraction.set(v128.select(fromAbove, parts.fraction.get, i32x4.eq(parts.exponent.get, use.int(0)))),
      prepare,
    ],
    value: f32x4.neg(log),
  };
}

const exponential = inPlace(exponentialOf);

/** −log(−log u). */
const gumbel = inPlace((word, use, local) => {
  const { setup: first, value: waiting } = exponentialOf(word, use, local);
  const e = local("v128");
  const parts = split(e.get, use, local);
  const [second, log] = logarithm(parts.exponent.get, parts.fraction.get, use, local);
  return { setup: [first, e.set(waiting), parts.set, second], value: f32x4.neg(log) };
});

/**
 * Φ⁻¹ in the form of Giles (2010): with p the smaller tail and x = 1 − 2p, Φ⁻¹ is ±x·P(w), w = −log(4p(1−p)). P in powers of
 * w − 2.5 for w < 5, and of √w − 3.5 up to the smallest p, 2⁻³³; interpolated at Chebyshev nodes, relative errors 6e-9, 2e-8.
 */
const CENTRAL = [
  2.12331348022277, 0.34880202766655216, -0.005907725659474201, -0.001771622653188693, 0.000308792663356827,
  -7.032063362544221e-6, -4.898814945487972e-6, 6.620377013833987e-7, 3.300204130811395e-8, -1.2631650845337005e-8,
];
const TAIL = [
  4.7170891675179725, 1.4246353011906143, 0.004633022154612123, -0.002926858904512461, 0.0015538214193639723,
  -0.0009258048691170576, 0.0005918943554762056, -0.00037703223341851327, 0.00012969176805678652, 3.6423421826131086e-5,
  -2.9929607685998677e-5,
];
const CENTRE = 2.5;
const TAIL_CENTRE = 3.5;
const TAIL_FROM = 5;

/** The top bit is the sign, the others the distance from the tail, so that both tails are as fine as the centre. */
export const normal = inPlace((word, use, local) => {
  const raw = local("v128");
  const distance = local("v128");
  const p = local("v128");
  const x = local("v128");
  const product = local("v128");
  const w = local("v128");
  const factor = local("v128");
  const far = local("v128");
  const parts = split(product.get, use, local);
  const [prepare, log] = logarithm(parts.exponent.get, parts.fraction.get, use, local);
  const half = use.float(0.5);
  const scaled = (whole: Code) => f32x4.mul(f32x4.add(f32x4.fromSigned(whole), half), use.float(2 ** -32));
  const t = local("v128");
  const [centralPowers, central] = polynomial(t.get, CENTRAL, use, local);
  const [tailPowers, tail] = polynomial(t.get, TAIL, use, local);
  return {
    setup: [
      raw.set(word),
      distance.set(v128.and(raw.get, use.int(0x7fffffff))),
      p.set(scaled(distance.get)),
      x.set(f32x4.mul(scaled(i32x4.sub(use.int(0x7fffffff), distance.get)), use.float(2))),
      product.set(f32x4.mul(f32x4.mul(p.get, use.float(4)), f32x4.sub(use.float(1), p.get))),
      parts.set,
      prepare,
      w.set(f32x4.neg(log)),
      t.set(f32x4.sub(w.get, use.float(CENTRE))),
      centralPowers,
      factor.set(central),
      far.set(f32x4.gt(w.get, use.float(TAIL_FROM))),
    ],
    branch: {
      where: far.get,
      run: [
        t.set(f32x4.sub(f32x4.sqrt(w.get), use.float(TAIL_CENTRE))),
        tailPowers,
        factor.set(v128.select(tail, factor.get, far.get)),
      ],
    },
    value: v128.xor(f32x4.mul(x.get, factor.get), v128.and(raw.get, use.int(-0x80000000))),
  };
});

/** The loops as functions of their arguments. */
export const LOOPS: readonly WasmFunction[] = [
  wasmFunction("bits", ["i32", "i32", "i32", "i32", "i32", "i32"], bits),
  ...Object.entries({ uniform, exponential, gumbel, normal }).map(([name, loop]) =>
    wasmFunction(name, ["i32", "i32"], loop),
  ),
];
