/** Densities of the plane by energies of two small layers, against their entropy: the log-likelihood that no model exceeds. */
import { checkerboard, nineGaussians, twoRings } from "tilted/data";
import { silu, tanh } from "tilted/nn";
import { expect, it } from "vitest";
import { fitPlane } from "../support/plane.ts";

/** Nats below the ceiling, as KL(q ‖ p_E). */
const WITHIN = 0.05;
const SMOOTH = { steps: 4000, rate: 1e-2, activation: silu };
/** Edges take a few more units of a steeper kind, larger steps and more of them. */
const EDGED = { steps: 20_000, rate: 5e-2, activation: tanh, hidden: [32, 32] };

it.each([
  ["nine Gaussians, ceiling −.430", nineGaussians(), SMOOTH],
  ["two rings, ceiling −1.514", twoRings(), SMOOTH],
  ["checkerboard, ceiling −2.079", checkerboard(), EDGED],
] as const)("%s: within .05 nats, and log Z between its bounds", async (_, density, how) => {
  const { fit, logZ, gap } = await fitPlane(density, how);
  expect(gap).toBeGreaterThan(-1e-3);
  expect(gap).toBeLessThan(WITHIN);
  const { lower, upper } = fit.logZ;
  expect(logZ).toBeGreaterThan(lower.value - 6 * lower.standardError);
  expect(logZ).toBeLessThan(upper.value + 6 * upper.standardError);
});
