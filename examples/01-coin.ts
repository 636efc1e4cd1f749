/**
 * 1. A coin. The posterior is known exactly, so we can see what importance sampling gets right and how sure it is.
 *
 *   npx tsx examples/01-coin.ts
 */
import { infer, model, observe, sample, snis } from "tilted";
import { beta, binomial } from "tilted/dist";

// A model is a generator function. `yield*` asks for a choice, or states a fact.
const coin = model(function* (heads: number, tosses: number) {
  const p = yield* sample("p", beta(2, 2));
  yield* observe("heads", binomial(tosses, { probs: p }), heads);
  return p;
});

const [heads, tosses] = [7, 10];

// `infer` is the one door; the method is a value. Draws come from the prior and are weighted by the data.
const posterior = await infer(coin, snis(20_000), { args: [heads, tosses], seed: 1 });
const mean = posterior.expectation("p");

// The conjugate answer: Beta(2 + 7, 2 + 3), and log p(data) = log C(10, 7) + log B(9, 5) − log B(2, 2).
const exactMean = (2 + heads) / (4 + tosses);
const factorial = (n: number): number => (n < 2 ? 1 : n * factorial(n - 1));
const betaFunction = (a: number, b: number) => (factorial(a - 1) * factorial(b - 1)) / factorial(a + b - 1);
const choose = factorial(tosses) / factorial(heads) / factorial(tosses - heads);
const exactEvidence = Math.log((choose * betaFunction(2 + heads, 2 + tosses - heads)) / betaFunction(2, 2));

const show = (x: number) => x.toFixed(4);
console.log(`${heads} heads in ${tosses} tosses, p ~ Beta(2, 2)`);
console.log(`              estimate             exact`);
console.log(`E[p | data]   ${show(mean.value)} ± ${show(mean.standardError)}      ${show(exactMean)}`);
const { value, standardError } = posterior.logEvidence;
console.log(`log p(data)  ${show(value)} ± ${show(standardError)}     ${show(exactEvidence)}`);
console.log(`20,000 weighted draws have an effective sample size of ${Math.round(posterior.ess)};`);
console.log(`Pareto k = ${posterior.khat.toFixed(2)} (below 0.7: the weights can be trusted).`);
