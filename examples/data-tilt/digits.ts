/**
 * Digits: a VAE trained on skewed classes, tilted in the space of pictures by a convolutional energy that was shown a few balanced ones
 * without their labels. A gentle tilt can still be sampled by importance weights, which say what they are worth; chains in (z, ε) follow it
 * further.
 */
import { pipe } from "fp-ts/lib/function.js";
import {
  chainEvidence,
  condition,
  elbo,
  infer,
  inNoise,
  langevin,
  logDensityOf,
  type NdArray,
  ndarray,
  predictive,
  progressBar,
  snis,
  snisOutputs,
  tilt,
  tiltLikelihood,
} from "tilted";
import { biasedSplit, type Digits, loadMnistPackage, totalVariation } from "tilted/data";
import { classifier, classify, convEnergy, generative, labels } from "tilted/models";
import { adam } from "tilted/optim";
import { type Figure, imageGrid, labelHistogram, lines, weightHistogram } from "tilted/plot";
import { chainDraws, tiltedLogDensity } from "tilted/tilt";

const CLASSES = [0, 1, 2, 3, 4] as const;
const SHARES = [0.12, 0.33, 0.28, 0.2, 0.07] as const;
const PIXELS = 28 * 28;
const SHOWN = 20;
const CHAINS = 64;

/** Zeros and ones, for which the Bernoulli decoder is a density: a grey value is ink where it is above one half. */
const binary = ({ images, count }: Digits): NdArray =>
  ndarray(
    images.map((v) => (v > 0.5 ? 1 : 0)),
    [count, PIXELS],
  );
const rowsOf = ({ data, shape }: NdArray, n: number): NdArray => {
  const count = shape[0] ?? 0;
  const out = new Float32Array(n * PIXELS);
  for (let i = 0; i < n; i++) {
    const row = Math.floor((i * count) / n);
    out.set(data.subarray(row * PIXELS, (row + 1) * PIXELS), i * PIXELS);
  }
  return ndarray(out, [n, PIXELS]);
};

export async function digits(save: (name: string, figure: Figure) => Promise<void>): Promise<void> {
  const loaded = await loadMnistPackage()();
  if (loaded._tag === "Left") throw loaded.left;
  const sets = biasedSplit(loaded.right, { classes: CLASSES, shares: SHARES, keep: 0.6, seed: 1 });
  const [biased, balanced] = [binary(sets.biased), binary(sets.unbiased)];
  const held = rowsOf(binary(sets.rest), 64);
  console.log(`\nDigits: ${biased.shape[0]} skewed ones train a VAE, ${balanced.shape[0]} balanced ones its tilt`);
  const onProgress = progressBar();

  // What counts classes. It sees labels; neither the VAE nor the energy does.
  const counter = classifier({ features: PIXELS, classes: CLASSES.length, hidden: [128], batch: 128 });
  const named = await infer(counter.model, elbo(counter.guide, { optimizer: adam(1e-3), epochs: 8 }), {
    args: [biased, labels(sets.biased.labels)],
    seed: 1,
  });
  const classesOf = (x: NdArray) => classify(counter, named.params, x);
  const sharesOf = (x: NdArray) => {
    const found = classesOf(x);
    return CLASSES.map((_, k) => found.filter((c) => c === k).length / found.length);
  };
  const even = CLASSES.map(() => 1 / CLASSES.length);
  const show = (name: string, x: NdArray) => {
    const found = sharesOf(x);
    console.log(
      `  ${name.padEnd(34)} ${found.map((s) => s.toFixed(2)).join("  ")}   total variation ${totalVariation(found, even).toFixed(3)}`,
    );
    return found;
  };

  const net = generative({ features: PIXELS, latent: 8, hidden: [256, 128], batch: 128 });
  const vae = await infer(net.model, elbo(net.guide, { optimizer: adam(1e-3), epochs: 30 }), {
    args: [biased],
    seed: 2,
    onProgress,
  });

  // The energy is trained by chains that persist: in each step a random batch of the buffer moves in (z, ε) and goes back.
  const energy = convEnergy([28, 28], { channels: [8, 16] });
  const fit = await infer(
    net.base,
    tiltLikelihood("x", energy, balanced, {
      negatives: chainDraws({ chains: CHAINS, steps: 10, stepSize: 0.02, coordinates: inNoise("x") }),
      optimizer: adam(3e-4),
      batch: CHAINS,
      steps: 400,
      every: 20,
      classify: classesOf,
    }),
    { params: vae.params, seed: 3, onProgress },
  );
  const last = fit.history.at(-1);
  console.log(
    `  ${fit.message}; |E_data − E_negatives| ${last?.gap.toFixed(2)}, acceptance ${last?.acceptance?.toFixed(2)}, class entropy of the buffer ${fit.classEntropy?.toFixed(2)} of ${Math.log(CLASSES.length).toFixed(2)}`,
  );
  for (const warning of fit.warnings) console.log(`  warning: ${warning}`);

  const tilted = pipe(net.base, tilt("x", fit.energy));
  const { params } = fit;
  const before = predictive(net.base, { draws: 1000, params, seed: 4 }).x;
  // By weights: every output from 256 proposals of its own, and all from one pool.
  const fresh = await infer(tilted, snisOutputs(SHOWN), { params, seed: 5 });
  const pool = await infer(tilted, snisOutputs(SHOWN, { from: "pool", proposals: 4096 }), { params, seed: 6 });
  for (const { scheme, warnings, distinct, essPerOutput, khat } of [fresh, pool]) {
    console.log(
      `  SNIS, ${scheme}: worth ${essPerOutput.toFixed(1)} proposals, ${distinct} of ${SHOWN} outputs differ, Pareto k ${khat.toFixed(2)}`,
    );
    for (const warning of warnings) console.log(`    warning: ${warning}`);
  }
  const weighted = await infer(tilted, snis(2000), { params, seed: 7 });
  // By chains in (z, ε): Metropolis keeps zeros and ones exact.
  const noisy = pipe(tilted, inNoise("x"));
  const chains = await infer(
    noisy,
    langevin({ chains: CHAINS, steps: 1000, warmup: 300, thin: 50, stepSize: 0.02, jumpEvery: 4 }),
    { params, seed: 8, onProgress },
  );
  const kept = chains.sites.z.shape[1] ?? 1;
  const flat = (a: NdArray) => ndarray(a.data, [CHAINS * kept, ...a.shape.slice(2)]);
  const after = predictive(noisy, {
    posterior: { z: flat(chains.sites.z), "x/noise": flat(chains.sites["x/noise"]) },
    params,
    seed: 9,
  }).x;
  console.log(
    `  chains in (z, ε): R-hat ${chains.rhat.toFixed(2)}, acceptance ${chains.acceptance.toFixed(2)}, jumps ${chains.jumpAcceptance?.toFixed(3)}`,
  );
  for (const warning of chains.warnings) console.log(`    warning: ${warning}`);
  console.log(`  classes${" ".repeat(29)}${CLASSES.join("     ")}`);
  const series = [
    { name: "balanced digits", counts: show("balanced digits", balanced) },
    { name: "VAE", counts: show("VAE of skewed digits", before) },
    { name: "tilted, SNIS", counts: show("tilted, SNIS (2000 weighted)", weighted.resample(1000).x) },
    { name: "tilted, chains", counts: show("tilted, chains in (z, ε)", after) },
  ];
  // Above, log Z rests on what the chains found; base draws alone would not notice a mode that they miss.
  const evidence = chainEvidence(noisy, chains, { params, seed: 13, draws: 4096 });
  const density = tiltedLogDensity(net, fit.energy, evidence, held, { params, seed: 10, particles: 512 });
  const plain = tiltedLogDensity(net, fit.energy, evidence, rowsOf(before, 64), { params, seed: 10, particles: 512 });
  const range = ({ lower, upper }: { lower: { value: number }; upper: { value: number } }) =>
    `${lower.value.toFixed(2)} to ${upper.value.toFixed(2)}`;
  console.log(
    `  log Z ${range(fit.logZ)} (± ${fit.logZ.lower.standardError.toFixed(2)}) by the fit's buffer, ${range(evidence)} (± ${evidence.lower.standardError.toFixed(2)}) by these chains; log p_E per digit: held out ${range(density)}, draws of the VAE ${range(plain)}`,
  );

  // Where a tilt would have to find one picture among all, weights do collapse: the likelihood of 784 pixels as the tilt of the prior.
  const digit = ndarray(held.data.slice(0, PIXELS), [PIXELS]);
  const blind = await infer(pipe(net.base, condition({ x: digit })), snis(4096), { params, seed: 11 });
  const known = logDensityOf(net, ndarray(digit.data, [1, PIXELS]), { params, seed: 12, particles: 4096 });
  console.log(
    `  log p(x) of one held-out digit: ${range(known)} by 4096 draws of the encoder; at least ${blind.logEvidence.value.toFixed(2)} by as many of the prior, worth ${blind.ess.toFixed(1)}`,
  );
  for (const warning of blind.warnings) console.log(`    warning: ${warning}`);

  await save(
    "digits",
    imageGrid({
      title: "Tilting pictures",
      subtitle: "zeros and ones, drawn (not means): what the models say pictures look like",
      sets: [
        { name: "balanced digits that the energy saw", images: rowsOf(balanced, SHOWN).data as Float32Array },
        { name: "VAE of skewed digits", images: rowsOf(before, SHOWN).data as Float32Array },
        {
          name: `tilted, importance weights: ${fresh.essPerOutput.toFixed(1)} effective proposals behind each`,
          images: fresh.sites.x.data as Float32Array,
        },
        { name: "tilted, chains in (z, ε)", images: rowsOf(after, SHOWN).data as Float32Array },
      ],
      perRow: 5,
      width: 900,
    }),
  );
  await save(
    "digit-shares",
    labelHistogram({
      title: "Classes before and after the tilt",
      subtitle: "shares counted by a classifier; the energy saw no labels",
      classes: CLASSES.map(String),
      series,
      xLabel: "digit",
    }),
  );
  await save(
    "digit-weights",
    weightHistogram({
      title: "What importance weights are worth on pictures",
      subtitle: `2000 proposals are worth ${weighted.ess.toFixed(1)}; Pareto k ${weighted.khat.toFixed(2)}`,
      weights: weighted.weights(),
    }),
  );
  const steps = fit.history.map(({ step }) => step);
  await save(
    "digit-training",
    lines({
      title: "Training the energy",
      subtitle: "at the optimum data and negatives have the same mean energy: E_data − E_negatives = 0",
      series: [
        { name: "E_data − E_negatives, nats", x: steps, y: fit.history.map(({ target }) => target) },
        {
          name: "class entropy of the buffer, nats",
          x: steps,
          y: fit.history.map((l) => l.classEntropy ?? Number.NaN),
          dashed: true,
        },
      ],
      xLabel: "step",
    }),
  );
}
