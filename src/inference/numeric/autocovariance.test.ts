import fc from "fast-check";
import { expect, it } from "vitest";
import { fold, rootKey } from "../../core/key.ts";
import { normal } from "../../core/random/draws.ts";
import { autocovariances } from "./autocovariance.ts";

it("is the plain sum at every lag, for any number and length of chains", () => {
  fc.assert(
    fc.property(fc.integer({ min: 1, max: 7 }), fc.integer({ min: 1, max: 600 }), fc.nat(99), (m, n, seed) => {
      const chains = Array.from({ length: m }, (_, c) =>
        Float64Array.from(normal(fold(rootKey("chains"), 100 * c + seed), n)),
      );
      const found = autocovariances(chains);
      for (let lag = 0; lag < n; lag++) {
        let exact = 0;
        for (const x of chains) for (let t = 0; t + lag < n; t++) exact += (x[t] as number) * (x[t + lag] as number);
        expect(Math.abs(found(lag) - exact), `lag ${lag}`).toBeLessThan(1e-12 * m * n);
      }
    }),
    { numRuns: 60 },
  );
});
