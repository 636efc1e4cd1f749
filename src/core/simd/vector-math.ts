/**
 * Elementary functions of four floats at a time, from + − × ÷ √ of IEEE floats and operations on bits alone: the same bits on
 * every machine.
 */
import type { Local, Type } from "./assembler.ts";
import { type Code, f32x4, f64x2, i32x4, i64x2 } from "./instructions.ts";

/** Makes a variable of the function that is being written. */
export type NewLocal = (type: Type) => Local;

/** Constants in variables, set before the loop: as literals they would be built in every iteration. */
export function constants(local: NewLocal) {
  const set: Code[] = [];
  const known = new Map<string, Code>();
  const keep = (value: Code): Code => {
    const name = value.flat().join();
    const found = known.get(name);
    if (found !== undefined) return found;
    const variable = local("v128");
    set.push(variable.set(value));
    known.set(name, variable.get);
    return variable.get;
  };
  return {
    set: set as Code,
    float: (value: number) => keep(f32x4.const(value)),
    int: (value: number) => keep(i32x4.const(value)),
    double: (value: number) => keep(f64x2.const(value)),
    long: (value: bigint) => keep(i64x2.const(value)),
  };
}
export type Constants = ReturnType<typeof constants>;

/** Σ cᵢ xⁱ, by Estrin: pairs, pairs of pairs, …, so that few multiplications wait for each other. What to run first, and the value. */
export function polynomial(
  x: Code,
  coefficients: readonly number[],
  use: Constants,
  local: NewLocal,
): readonly [Code, Code] {
  const powers: Code[] = [];
  let terms: Code[] = coefficients.map((c) => use.float(c));
  let power = x;
  while (terms.length > 1) {
    const here = power;
    terms = Array.from({ length: Math.ceil(terms.length / 2) }, (_, i) => {
      const [low, high] = [terms[2 * i] as Code, terms[2 * i + 1]];
      return high === undefined ? low : f32x4.add(f32x4.mul(high, here), low);
    });
    if (terms.length > 1) {
      const next = local("v128");
      powers.push(next.set(f32x4.mul(here, here)));
      power = next.get;
    }
  }
  return [powers, terms[0] as Code];
}

/** (log(1+f) − f + f²/2)/f³ on √½ ≤ 1+f ≤ √2, interpolated at Chebyshev nodes; relative error of the logarithm 3e-9. */
const LOG1P = [
  0.33333331180031756, -0.24999996957953977, 0.20000715748789707, -0.16667802319252786, 0.14249057647485922,
  -0.12425687336986385, 0.11685419916238712, -0.11479733810679095, 0.0697161144339361,
];
/** Bits of √½ as a float32. */
const HALF_ROOT = 0x3f3504f3;
/** ln 2 in two parts, the first short enough that its product with an exponent is exact. */
const LN2_HIGH = 0.693359375;
const LN2_LOW = -2.1219444005469057e-4;

/** Exponent e and f with x = 2ᵉ(1 + f), for positive normal x. */
export function split(x: Code, use: Constants, local: NewLocal) {
  const exponent = local("v128");
  const fraction = local("v128");
  const shifted = i32x4.shrS(i32x4.sub(x, use.int(HALF_ROOT)), 23);
  return {
    exponent,
    fraction,
    set: [
      exponent.set(shifted),
      fraction.set(f32x4.sub(i32x4.sub(x, i32x4.shl(exponent.get, 23)), use.float(1))),
    ] as Code,
  };
}

/** e·ln 2 + log(1 + f). */
export function logarithm(exponent: Code, fraction: Code, use: Constants, local: NewLocal): readonly [Code, Code] {
  const e = local("v128");
  const square = local("v128");
  const [powers, sum] = polynomial(fraction, LOG1P, use, local);
  const cubic = f32x4.mul(f32x4.mul(square.get, fraction), sum);
  const series = f32x4.sub(cubic, f32x4.mul(square.get, use.float(0.5)));
  return [
    [e.set(f32x4.fromSigned(exponent)), square.set(f32x4.mul(fraction, fraction)), powers],
    f32x4.add(
      f32x4.add(f32x4.mul(e.get, use.float(LN2_LOW)), series),
      f32x4.add(fraction, f32x4.mul(e.get, use.float(LN2_HIGH))),
    ),
  ];
}

/** (eʳ − 1 − r)/r² on |r| ≤ ½ ln 2, interpolated at Chebyshev nodes; relative error of the exponential 2e-10. */
const EXP = [
  0.5000000013498179, 0.16666666681658937, 0.04166646460202459, 0.008333310889686828, 0.0013933685862601152,
  0.00019891030575962232,
];
/** Beyond these the exponential of a float32 is 0 or ∞. */
const [EXP_LOW, EXP_HIGH] = [-105, 90];
const BIAS = 127;

/** eˣ, of any float. */
export function exponential(x: Code, use: Constants, local: NewLocal): readonly [Code, Code] {
  const [within, whole, rest, power, half] = [
    local("v128"),
    local("v128"),
    local("v128"),
    local("v128"),
    local("v128"),
  ] as const;
  const [powers, sum] = polynomial(rest.get, EXP, use, local);
  // In two steps, as the whole power may lie outside the range of exponents.
  const scale = (e: Code) => i32x4.shl(i32x4.add(e, use.int(BIAS)), 23);
  const series = f32x4.add(f32x4.add(rest.get, f32x4.mul(f32x4.mul(rest.get, rest.get), sum)), use.float(1));
  return [
    [
      within.set(f32x4.max(f32x4.min(x, use.float(EXP_HIGH)), use.float(EXP_LOW))),
      whole.set(f32x4.nearest(f32x4.mul(within.get, use.float(Math.LOG2E)))),
      rest.set(
        f32x4.sub(
          f32x4.sub(within.get, f32x4.mul(whole.get, use.float(LN2_HIGH))),
          f32x4.mul(whole.get, use.float(LN2_LOW)),
        ),
      ),
      power.set(i32x4.fromFloat(whole.get)),
      half.set(i32x4.shrS(power.get, 1)),
      powers,
    ],
    f32x4.mul(f32x4.mul(series, scale(half.get)), scale(i32x4.sub(power.get, half.get))),
  ];
}
