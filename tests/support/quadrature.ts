/** Integrals on grids, for exact answers where there is no closed form. */

/** ∫ f over [low, high] by the midpoint rule, which is as good as exact for smooth functions that vanish at both ends. */
export function integrate(f: (x: number) => number, low: number, high: number, points = 20_000): number {
  const h = (high - low) / points;
  let sum = 0;
  for (let i = 0; i < points; i++) sum += f(low + (i + 0.5) * h);
  return sum * h;
}

/** The same over the square [low, high]². */
export const integrate2 = (f: (x: number, y: number) => number, low: number, high: number, points = 400): number =>
  integrate((x) => integrate((y) => f(x, y), low, high, points), low, high, points);

/** KL(q ‖ p) of two log-densities on an interval. */
export const klOnInterval = (
  logQ: (x: number) => number,
  logP: (x: number) => number,
  low: number,
  high: number,
): number => integrate((x) => Math.exp(logQ(x)) * (logQ(x) - logP(x)), low, high);
