/**
 * 6. Your own handler, in ten lines. A handler is a function from model to model; `handler` gives it every effect, and it decides
 * what happens instead. This one raises the likelihood to a power: at 0 the posterior is the prior, at 1 it is the posterior.
 *
 *   npx tsx examples/06-own-handler.ts
 */
import { pipe } from "fp-ts/lib/function.js";
import { handler, infer, model, ndarray, observe, plate, sample, snis } from "tilted";
import { normal } from "tilted/dist";

// Ten lines: scale the log-probability of observed sites, leave everything else alone.
const heat = (power: number) =>
  handler(
    () =>
      function* (effect) {
        if (effect.kind !== "observe") return yield effect;
        return yield { ...effect, scale: power };
      },
  );

const heights = [1.62, 1.75, 1.81, 1.68, 1.7];

const people = model(function* () {
  const mu = yield* sample("mu", normal(1.5, 0.2));
  yield* plate("people", 5, function* () {
    yield* observe("height", normal(mu, 0.1), ndarray(Float32Array.from(heights)));
  });
});

console.log("power   E[mu]   exact");
for (const power of [0, 0.1, 0.5, 1]) {
  const posterior = await infer(pipe(people, heat(power)), snis(20_000), { seed: 1 });
  const { value } = posterior.expectation("mu");
  // Conjugate: precisions add, and the power counts the data that often.
  const sum = heights.reduce((a, b) => a + b, 0);
  const exact = (1.5 / 0.04 + (power * sum) / 0.01) / (1 / 0.04 + (power * 5) / 0.01);
  console.log(`${power.toFixed(1)}     ${value.toFixed(3)}   ${exact.toFixed(3)}`);
}
