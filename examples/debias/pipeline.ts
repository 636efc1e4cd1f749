/** The walkthrough from digits to balanced samples. Pure of files and figures, so that the benchmark runs it too. */
import type { NdArray, Progress, TiltFit } from "tilted";
import { ensureEngine, type Posteriors } from "tilted";
import type { Digits } from "tilted/data";
import { encode, type Vae } from "tilted/models";
import { type LatentBase, refinedRows } from "tilted/tilt";
import { type Baseline, priorLatents } from "./baselines.ts";
import { baseOf, fitEnergy, sampleByLangevin, sampleByWeights } from "./latent.ts";
import { type Balance, balanceOf } from "./measure.ts";
import type { BaseName, Options } from "./options.ts";
import { pickRows } from "./rows.ts";
import { makeSets, type Sets } from "./sets.ts";
import { type Counter, digitsVae, images, sharesOf, type Trained, trainVae } from "./train.ts";
import { startWorker } from "./worker.ts";

/** A tilt of one base and the samples it gives. */
export interface TiltedBase {
  readonly base: LatentBase;
  readonly fit: TiltFit;
  /** Samples of the base itself, decoded and counted. */
  readonly untilted: Balance;
  readonly snis: Balance & { readonly essRatio: number; readonly khat: number; readonly weights: ArrayLike<number> };
  readonly z: NdArray;
}

export interface Outcome {
  readonly engine: string;
  readonly sets: Sets;
  readonly net: Vae;
  readonly vae: Trained;
  readonly counter: Counter;
  readonly posteriors: { readonly biased: Posteriors; readonly unbiased: Posteriors };
  /** Samples of the prior: what the biased VAE generates. */
  readonly before: Balance;
  readonly beforeZ: NdArray;
  readonly tilts: Readonly<Record<BaseName, TiltedBase>>;
  readonly langevin: Balance & { readonly rhat: number; readonly acceptance: number };
  readonly chains: NdArray;
  readonly langevinZ: NdArray;
  readonly baselines: { readonly unbiasedOnly: Baseline; readonly fineTuned: Baseline } | undefined;
  readonly seconds: {
    readonly vae: number;
    readonly energy: number;
    readonly sampling: number;
    readonly total: number;
  };
}

/** What a caller hears of a run. */
export interface Listener {
  /** A step begins. */
  stage(title: string): void;
  progress?(progress: Progress): void;
}

/** Runs the walkthrough. Without `baselines` the two baselines are left out. */
export async function debias(digits: Digits, options: Options, listen: Listener, baselines = true): Promise<Outcome> {
  const { latent, samples } = options;
  const seed = (name: string) => `${options.seed}/${name}`;
  const how = (name: string) => ({ seed: seed(name), engine: options.engine });
  const began = performance.now();
  const since = (from: number) => (performance.now() - from) / 1000;
  const onProgress = listen.progress === undefined ? {} : { onProgress: listen.progress };
  const { engine } = options;
  await ensureEngine();
  const sets = makeSets(digits, options.seed);
  const second = startWorker();
  try {
    const counting = second.counter(sets.labelled, seed("classifier"));
    const unbiasedOnly = baselines
      ? counting.then((c) => second.unbiasedOnly(latent, sets.unbiasedHalves, c, samples, seed("unbiased-only")))
      : undefined;
    // A failure is thrown where the result is awaited; until then it must not count as unhandled.
    counting.catch(() => {});
    unbiasedOnly?.catch(() => {});

    listen.stage(`Training the VAE on ${sets.biased.count} biased digits`);
    const vaeBegan = performance.now();
    const net = digitsVae(latent);
    const vae = await trainVae({
      net,
      ...sets.biasedHalves,
      epochs: options.epochs,
      seed: seed("vae"),
      engine,
      ...onProgress,
    });
    const vaeSeconds = since(vaeBegan);
    const counter = await counting;
    const fineTuned = baselines
      ? second.fineTuned(latent, vae.params, sets.unbiasedHalves, counter, samples, seed("fine-tuned"))
      : undefined;
    fineTuned?.catch(() => {});

    const posteriors = {
      biased: encode(net, vae.params, images(sets.biased)),
      unbiased: encode(net, vae.params, images(sets.unbiased)),
    };
    const count = (z: NdArray) => balanceOf(sharesOf(counter, net, vae.params, z));
    const beforeZ = priorLatents(latent, samples, seed("before"));

    listen.stage("Finding the latents of the balanced digits");
    const refineBegan = performance.now();
    const balanced = refinedRows(net, vae.params, images(sets.unbiased), posteriors.biased, { seed: seed("latents") });
    let energySeconds = since(refineBegan);
    let samplingSeconds = 0;
    const tilted = async (name: BaseName): Promise<TiltedBase> => {
      listen.stage(`Fitting the energy over the ${name === "prior" ? "prior" : "aggregated posterior"}`);
      const base = baseOf(name, latent, posteriors.biased);
      const fitBegan = performance.now();
      const fit = await fitEnergy(base, latent, balanced, options.objective, how(`energy/${name}`), listen.progress);
      energySeconds += since(fitBegan);
      const sampleBegan = performance.now();
      const { particles, z } = await sampleByWeights(base, fit, samples, how(`snis/${name}`));
      const snis = {
        ...count(z),
        essRatio: particles.essRatio,
        khat: particles.khat,
        weights: particles.weights(),
      };
      const untilted = count(head(particles.sites.z, samples));
      samplingSeconds += since(sampleBegan);
      return { base, fit, untilted, snis, z };
    };
    const tilts = { prior: await tilted("prior"), aggregate: await tilted("aggregate") };

    listen.stage("Langevin dynamics in the latent space");
    const chainBegan = performance.now();
    const chosen = tilts[options.base];
    const { run, z: langevinZ } = await sampleByLangevin(
      chosen.base,
      chosen.fit,
      latent,
      samples,
      how("langevin"),
      listen.progress,
    );
    const langevin = { ...count(langevinZ), rhat: run.rhat, acceptance: run.acceptance };
    samplingSeconds += since(chainBegan);

    if (baselines) listen.stage("Waiting for the baselines in the worker thread");
    return {
      engine,
      sets,
      net,
      vae,
      counter,
      posteriors,
      before: count(beforeZ),
      beforeZ,
      tilts,
      langevin,
      chains: run.sites.z,
      langevinZ,
      baselines:
        unbiasedOnly === undefined || fineTuned === undefined
          ? undefined
          : { unbiasedOnly: await unbiasedOnly, fineTuned: await fineTuned },
      seconds: { vae: vaeSeconds, energy: energySeconds, sampling: samplingSeconds, total: since(began) },
    };
  } finally {
    await second.close();
  }
}

/** The first `n` rows, fewer when there are not as many: importance proposals are independent draws of the base. */
const head = (z: NdArray, n: number): NdArray =>
  pickRows(
    z,
    Array.from({ length: Math.min(n, z.shape[0] as number) }, (_, i) => i),
  );
