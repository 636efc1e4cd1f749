/** A density of the plane by an energy of two layers of 20, against its entropy: the log-likelihood that no model exceeds. */
import { nineGaussians } from "tilted/data";
import { silu } from "tilted/nn";
import { expect, it } from "vitest";
import { fitPlane } from "../support/plane.ts";

/** Nats below the ceiling, as KL(q ‖ p_E). */
const WITHIN = 0.05;

it("nine Gaussians, ceiling −.430: within .05 nats, and log Z between its bounds", async () => {
  const { fit, logZ, gap } = await fitPlane(nineGaussians(), { steps: 4000, rate: 1e-2, activation: silu });
  expect(gap).toBeGreaterThan(-1e-3);
  expect(gap).toBeLessThan(WITHIN);
  const { lower, upper } = fit.logZ;
  expect(logZ).toBeGreaterThan(lower.value - 6 * lower.standardError);
  expect(logZ).toBeLessThan(upper.value + 6 * upper.standardError);
});
