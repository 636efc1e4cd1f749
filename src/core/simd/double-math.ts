/** The exponential of two doubles at a time, from + − × and operations on bits alone: the same bits on every machine. */
import { type Code, f64x2, i64x2, v128 } from "./instructions.ts";
import type { Constants, NewLocal } from "./vector-math.ts";

/** (eʳ − 1 − r)/r² on |r| ≤ ½ ln 2, interpolated at Chebyshev nodes; relative error of the exponential 2e-17. */
const EXP = [
  0.5000000000000001, 0.16666666666666669, 0.04166666666662413, 0.008333333333330062, 0.0013888888917213717,
  0.00019841269863053618, 2.4801521295954376e-5, 2.7557268459997064e-6, 2.7620088445409746e-7, 2.510038549551032e-8,
];
/** Below this the exponential is given as 0: the least normal doubles begin here. */
export const DOUBLE_EXP_LOW = -708;
/** ln 2 in two parts; products of the first with an exponent are exact. */
const LN2_HIGH = 0.6931471803691238;
const LN2_LOW = 1.9082149292705877e-10;
/** Added to a small number, leaves it rounded to a whole one in the low bits. */
const ROUNDER = 1.5 * 2 ** 52;
const ONE = 0x3ff0000000000000n;
const MANTISSA_BITS = 52;

/** eˣ for x ≤ 709, within two roundings; 0 below {@link DOUBLE_EXP_LOW}; NaN stays NaN. What to run first, in steps, and the value. */
export function doubleExponential(x: Code, use: Constants, local: NewLocal): readonly [readonly Code[], Code] {
  const vector = () => local("v128");
  const [lifted, whole, rest, square] = [vector(), vector(), vector(), vector()] as const;
  const { add, sub, mul, lt } = f64x2;
  const steps: Code[] = [
    lifted.set(add(mul(x, use.double(Math.LOG2E)), use.double(ROUNDER))),
    whole.set(sub(lifted.get, use.double(ROUNDER))),
    rest.set(sub(x, mul(whole.get, use.double(LN2_HIGH)))),
    rest.set(sub(rest.get, mul(whole.get, use.double(LN2_LOW)))),
    square.set(mul(rest.get, rest.get)),
  ];
  // By Estrin: pairs, pairs of pairs, …, so that few products wait for each other.
  let terms: Code[] = EXP.map(use.double);
  let power = rest.get;
  for (let next = square; terms.length > 1; ) {
    const here = power;
    terms = Array.from({ length: Math.ceil(terms.length / 2) }, (_, i) => {
      const [low, high] = [terms[2 * i] as Code, terms[2 * i + 1]];
      if (high === undefined) return low;
      const term = vector();
      steps.push(term.set(add(mul(high, here), low)));
      return term.get;
    });
    power = next.get;
    if (terms.length > 1) {
      const following = vector();
      steps.push(following.set(mul(power, power)));
      next = following;
    }
  }
  const series = add(add(rest.get, mul(square.get, terms[0] as Code)), use.double(1));
  // A product, not a sum of exponents: it keeps NaN.
  const scale = i64x2.add(i64x2.shl(lifted.get, MANTISSA_BITS), use.long(ONE));
  return [steps, v128.andNot(mul(series, scale), lt(x, use.double(DOUBLE_EXP_LOW)))];
}
