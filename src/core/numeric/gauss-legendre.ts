/** Gauss–Legendre quadrature: nodes and weights on [0, 1]. */

/** Newton steps from the starting guess: each doubles the digits. */
const STEPS = 6;

/** Value and derivative of the Legendre polynomial of degree n. */
function legendre(n: number, x: number): readonly [value: number, slope: number] {
  let [before, value] = [1, x];
  for (let k = 2; k <= n; k++) [before, value] = [value, ((2 * k - 1) * x * value - (k - 1) * before) / k];
  return [value, (n * (x * value - before)) / (x * x - 1)];
}

/** Nodes and weights of n points: exact for polynomials of degree 2n − 1. */
export function gaussLegendre(n: number): { readonly nodes: Float32Array; readonly weights: Float32Array } {
  const [nodes, weights] = [new Float32Array(n), new Float32Array(n)];
  for (let i = 0; i < n; i++) {
    let x = -Math.cos((Math.PI * (i + 0.75)) / (n + 0.5));
    for (let step = 0; step < STEPS; step++) {
      const [value, slope] = legendre(n, x);
      x -= value / slope;
    }
    nodes[i] = (1 + x) / 2;
    weights[i] = 1 / ((1 - x * x) * legendre(n, x)[1] ** 2);
  }
  return { nodes, weights };
}
