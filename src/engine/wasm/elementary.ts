/** Elementary functions of tensors, four elements at a time; tfjs calls the C library for each element. */
import { wasmFunction } from "../../core/simd/assembler.ts";
import { type Code, f32x4, i32, i32x4, repeat, v128, when } from "../../core/simd/instructions.ts";
import {
  type Constants,
  constants,
  exponential,
  logarithm,
  type NewLocal,
  polynomial,
  split,
} from "../../core/simd/vector-math.ts";

const VECTOR = 16;

/** `name(from, to, vectors)`. */
const map = (name: string, write: (x: Code, use: Constants, local: NewLocal) => readonly [Code, Code]) =>
  wasmFunction(name, ["i32", "i32", "i32"], ([from, to, vectors], local) => {
    const use = constants(local);
    const x = local("v128");
    const [prepare, value] = write(x.get, use, local);
    return [
      use.set,
      repeat(
        [
          x.set(v128.load(from.get)),
          prepare,
          v128.store(to.get, value),
          from.set(i32.add(from.get, i32.const(VECTOR))),
          to.set(i32.add(to.get, i32.const(VECTOR))),
        ],
        vectors.tee(i32.sub(vectors.get, i32.const(1))),
      ),
    ];
  });

const SMALLEST_NORMAL = 2 ** -126;
/** Lifts subnormal numbers among the normal ones. */
const LIFT = 23;

const log = map("Log", (x, use, local) => {
  const [subnormal, lifted, result, special] = [local("v128"), local("v128"), local("v128"), local("v128")] as const;
  const parts = split(lifted.get, use, local);
  const [prepare, value] = logarithm(parts.exponent.get, parts.fraction.get, use, local);
  const ordinary = v128.and(f32x4.gt(x, use.float(0)), f32x4.lt(x, use.float(Number.POSITIVE_INFINITY)));
  return [
    [
      subnormal.set(f32x4.lt(x, use.float(SMALLEST_NORMAL))),
      lifted.set(v128.select(f32x4.mul(x, use.float(2 ** LIFT)), x, subnormal.get)),
      parts.set,
      parts.exponent.set(i32x4.sub(parts.exponent.get, v128.and(subnormal.get, use.int(LIFT)))),
      prepare,
      result.set(value),
      special.set(v128.not(ordinary)),
      // The root is NaN below zero, and keeps NaN and ∞.
      when(v128.anyTrue(special.get), [
        result.set(v128.select(f32x4.sqrt(x), result.get, special.get)),
        result.set(v128.select(use.float(Number.NEGATIVE_INFINITY), result.get, f32x4.eq(x, use.float(0)))),
      ]),
    ],
    result.get,
  ];
});

/** max(x, 0) + log(1 + e^{−|x|}). */
const softplus = map("Softplus", (x, use, local) => {
  const [small, whole] = [local("v128"), local("v128")] as const;
  const [first, decayed] = exponential(f32x4.neg(f32x4.abs(x)), use, local);
  const parts = split(whole.get, use, local);
  const [second, value] = logarithm(parts.exponent.get, parts.fraction.get, use, local);
  return [
    [
      first,
      small.set(decayed),
      whole.set(f32x4.add(small.get, use.float(1))),
      parts.set,
      // Below √2 − 1 the fraction of 1 + t is t itself, without the rounding of the sum.
      parts.fraction.set(v128.select(small.get, parts.fraction.get, i32x4.eq(parts.exponent.get, use.int(0)))),
      second,
    ],
    f32x4.add(f32x4.max(x, use.float(0)), value),
  ];
});

/** log(1 + x) = log u + (x − (u − 1))/u with u = 1 + x as rounded: the second term gives back what the rounding took. */
const log1p = map("Log1p", (x, use, local) => {
  const [u, result, special] = [local("v128"), local("v128"), local("v128")] as const;
  const parts = split(u.get, use, local);
  const [prepare, value] = logarithm(parts.exponent.get, parts.fraction.get, use, local);
  const one = use.float(1);
  const lost = f32x4.div(f32x4.sub(x, f32x4.sub(u.get, one)), u.get);
  const ordinary = v128.and(f32x4.gt(x, use.float(-1)), f32x4.lt(x, use.float(Number.POSITIVE_INFINITY)));
  return [
    [
      u.set(f32x4.add(x, one)),
      parts.set,
      prepare,
      result.set(f32x4.add(value, lost)),
      // Keeps the sign of −0.
      result.set(v128.select(x, result.get, f32x4.eq(x, use.float(0)))),
      special.set(v128.not(ordinary)),
      // The root is NaN below zero, and keeps NaN and ∞.
      when(v128.anyTrue(special.get), [
        result.set(v128.select(f32x4.sqrt(u.get), result.get, special.get)),
        result.set(v128.select(use.float(Number.NEGATIVE_INFINITY), result.get, f32x4.eq(x, use.float(-1)))),
      ]),
    ],
    result.get,
  ];
});

/** (tanh(x)/x − 1)/x² in powers of x² ≤ .4, interpolated at Chebyshev nodes; relative error of tanh 7e-10. */
const TANH = [
  -0.33333333149372757, 0.13333300146129104, -0.05395846162099901, 0.021762502877077237, -0.008323186993774458,
  0.002269501633043833,
];
const SMALL = 0.625;

const tanh = map("Tanh", (x, use, local) => {
  const [size, square] = [local("v128"), local("v128")] as const;
  const [powers, sum] = polynomial(square.get, TANH, use, local);
  const [prepare, grown] = exponential(f32x4.mul(size.get, use.float(2)), use, local);
  const near = f32x4.add(size.get, f32x4.mul(f32x4.mul(size.get, square.get), sum));
  const one = use.float(1);
  const far = f32x4.sub(one, f32x4.div(use.float(2), f32x4.add(grown, one)));
  const sign = v128.and(x, use.int(-0x80000000));
  return [
    [size.set(f32x4.abs(x)), square.set(f32x4.mul(size.get, size.get)), powers, prepare],
    v128.or(v128.select(near, far, f32x4.lt(size.get, use.float(SMALL))), sign),
  ];
});

const exp = map("Exp", exponential);

export const ELEMENTARY_LOOPS = [exp, log, log1p, softplus, tanh] as const;
