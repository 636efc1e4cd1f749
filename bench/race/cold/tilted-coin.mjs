// A coin: 7 heads in 10 tosses. Prints the posterior mean.
import { infer, model, observe, sample, snis } from "tilted";
import { beta, binomial } from "tilted/dist";

const coin = model(function* () {
  const p = yield* sample("p", beta(2, 2));
  yield* observe("heads", binomial(10, { probs: p }), 7);
});
console.log((await infer(coin, snis(1000), { seed: 1 })).expectation("p").value);
