/** Values of arbitrary precision, stored by scripts/oracles. */
import { readFileSync } from "node:fs";

const read = <T>(name: string): T =>
  JSON.parse(readFileSync(new URL(`../fixtures/${name}.json`, import.meta.url), "utf8")) as T;

/** x and f(x), and where the function is tested for smoothness f′(x) and f″(x). */
export type SpecialValue = readonly [x: number, value: number, first?: number, second?: number];

const special: { readonly [name: string]: readonly SpecialValue[] } = read("special");

export function specialValues(name: string): readonly SpecialValue[] {
  const found = special[name];
  if (found === undefined) throw new Error(`nothing is stored of ${name}`);
  return found;
}

/** log p(x), and F(x) unless the family is of counts. */
export type DensityValue = readonly [params: readonly number[], x: number, logProb: number, cdf: number | null];
/** Integrals of the density, of `sampled` parameters rounded to float32; null where there is no mean. */
export type Moments = readonly [
  params: readonly number[],
  mean: number | null,
  variance: number | null,
  entropy: number,
];

export interface DistributionValues {
  readonly points: readonly DensityValue[];
  readonly moments: readonly Moments[];
}

const distributions: { readonly [name: string]: DistributionValues } = read("distributions");

export function distributionValues(family: string): DistributionValues {
  const found = distributions[family];
  if (found === undefined) throw new Error(`nothing is stored of ${family}`);
  return found;
}

/** α, x and d log x/dα at the fixed distribution function of a Gamma(α, 1) draw. */
export const gammaSlopes = (): readonly (readonly [alpha: number, x: number, slope: number])[] => read("gamma-path");
