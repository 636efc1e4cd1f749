/** The networks that are trained: VAEs on several sets, and the classifier that counts. */
import { elbo, infer, type NdArray, ndarray, type Progress } from "tilted";
import type { Digits } from "tilted/data";
import { classifier, classify, decode, type Vae, vae } from "tilted/models";
import { adam, cosineDecay, linearWarmup } from "tilted/optim";
import type { EngineOption } from "./options.ts";
import { CLASSES, CLASSIFIER, PIXELS, VAE } from "./recipe.ts";

export type Params = Readonly<Record<string, NdArray>>;
type OnProgress = (progress: Progress) => void;

export const digitsVae = (latent: number): Vae =>
  vae({ features: PIXELS, latent, hidden: VAE.hidden, batch: VAE.batch });

export const images = (digits: Digits): NdArray => ndarray(digits.images, [digits.count, PIXELS]);

/** A trained VAE and how it came about. */
export interface Trained {
  readonly params: Params;
  readonly train: readonly number[];
  readonly validation: readonly number[];
  /** Nats per digit, at the parameters that were kept. */
  readonly trainLoss: number;
  readonly validationLoss: number;
  readonly epochs: number;
}

/** What {@link trainVae} is told. */
export interface TrainVae {
  readonly net: Vae;
  readonly training: Digits;
  readonly validation: Digits;
  readonly epochs: number;
  readonly seed: string;
  /** Start from these parameters: fine-tuning. */
  readonly from?: Params;
  readonly learningRate?: number;
  /** Default `wasm`. */
  readonly engine?: EngineOption;
  readonly onProgress?: OnProgress;
}

/** Maximises the ELBO, with early stopping on held-out digits. */
export async function trainVae(given: TrainVae): Promise<Trained> {
  const {
    net,
    training,
    validation,
    epochs,
    seed,
    from,
    learningRate = VAE.learningRate,
    engine = "wasm",
    onProgress,
  } = given;
  const steps = epochs * Math.ceil(training.count / VAE.batch);
  const decay = cosineDecay({ from: learningRate, steps: Math.max(1, steps - VAE.warmup) });
  const fit = await infer(
    net.model,
    elbo(net.guide, {
      optimizer: adam(linearWarmup(VAE.warmup, decay)),
      epochs,
      validation: { args: [images(validation)] },
      patience: VAE.patience,
    }),
    { args: [images(training)], seed, engine, ...(from && { params: from }), ...(onProgress && { onProgress }) },
  );
  const { train, validation: held } = fit.history;
  const best = held.indexOf(Math.min(...held));
  return {
    params: fit.params,
    train,
    validation: held,
    trainLoss: train[best] as number,
    validationLoss: held[best] as number,
    epochs: train.length,
  };
}

/** Counts classes of pictures. */
export interface Counter {
  /** Share of held-out digits that it names rightly. */
  readonly accuracy: number;
  /** Parameters, so that it can be sent to another thread. */
  readonly params: Params;
}

const net = classifier({
  features: PIXELS,
  classes: CLASSES.length,
  hidden: CLASSIFIER.hidden,
  batch: CLASSIFIER.batch,
});

export async function trainCounter(training: Digits, test: Digits, seed: string): Promise<Counter> {
  const steps = CLASSIFIER.epochs * Math.ceil(training.count / CLASSIFIER.batch);
  const fit = await infer(
    net.model,
    elbo(net.guide, {
      optimizer: adam(cosineDecay({ from: CLASSIFIER.learningRate, steps })),
      epochs: CLASSIFIER.epochs,
    }),
    { args: [images(training), ndarray(training.labels)], seed, engine: "wasm" },
  );
  const named = classify(net, fit.params, images(test));
  const right = named.reduce((n, label, i) => n + (label === test.labels[i] ? 1 : 0), 0);
  return { params: fit.params, accuracy: right / test.count };
}

/** Share of each class among the decoded latents. */
export function sharesOf(counter: Counter, vaeNet: Vae, params: Params, z: NdArray): number[] {
  const counts = new Array<number>(CLASSES.length).fill(0);
  for (const label of classify(net, counter.params, decode(vaeNet, params, z)))
    counts[label] = (counts[label] ?? 0) + 1;
  return counts.map((c) => c / (z.shape[0] as number));
}
