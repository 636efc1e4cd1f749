/** The least that a page can ship: importance sampling of one normal. Its packed size is what a user's page pays. */
import { infer, model, sample, snis } from "tilted";
import { normal } from "tilted/dist";

const one = model(function* () {
  return yield* sample("x", normal(0, 1));
});

const result = await infer(one, snis(10), { seed: 1 });
console.log(result.ess);
