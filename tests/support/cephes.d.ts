/** The functions of Moshier's Cephes that the tests use: the package's own types do not reach a resolver that reads its `exports`. */
declare module "cephes" {
  /** The functions are there when it resolves. */
  export const compiled: Promise<void>;
  export function lgam(x: number): number;
  export function psi(x: number): number;
  export function erf(x: number): number;
  export function erfc(x: number): number;
  export function ndtr(x: number): number;
  export function ndtri(p: number): number;
  /** Regularised incomplete gamma functions, lower and upper. */
  export function igam(a: number, x: number): number;
  export function igamc(a: number, x: number): number;
  /** Regularised incomplete beta function. */
  export function incbet(a: number, b: number, x: number): number;
}
