/** The least time a workload could take here: its multiplications at this machine's best product, its bytes at its best copy. */
import { ENERGY_SHAPE, IWAE_SHAPE, REGRESSION_SHAPE, VAE_SHAPE, WINE_SHAPE } from "./inputs.ts";

/** What this machine does at best, on one thread. */
export interface Machine {
  /** Floating-point operations per second in a matrix product. */
  readonly flops: number;
  /** Bytes per second read and written by a large copy. */
  readonly bytes: number;
}

/** What one unit of a workload needs. */
export interface Cost {
  readonly flops: number;
  readonly bytes: number;
}

const products = (widths: readonly number[]): number =>
  widths.slice(1).reduce((n, width, i) => n + 2 * width * (widths[i] as number), 0);
const weights = (widths: readonly number[]): number => products(widths) / 2;

/** Forward once, backward twice; Adam reads and writes parameters, moments and gradient. */
const training = (rows: number, encoder: readonly number[], decoder: readonly number[], decoded: number): Cost => ({
  flops: 3 * (rows * products(encoder) + decoded * products(decoder)),
  bytes: 4 * 7 * (weights(encoder) + weights(decoder)),
});

const autoencoder = (shape: { features: number; hidden: readonly number[]; latent: number }) => ({
  encoder: [shape.features, ...shape.hidden, 2 * shape.latent],
  decoder: [shape.latent, ...[...shape.hidden].reverse(), shape.features],
});

const [vae, iwae, wine] = [VAE_SHAPE, IWAE_SHAPE, WINE_SHAPE].map(autoencoder) as [
  ReturnType<typeof autoencoder>,
  ReturnType<typeof autoencoder>,
  ReturnType<typeof autoencoder>,
];
const FLOAT = 4;
const CHAINS = 1000;
const MILLION = 1e6;
const DIGIT_PARTICLES = 1e4;

/** By workload. */
export const COSTS: { readonly [workload: string]: Cost } = {
  "vae-step": training(VAE_SHAPE.batch, vae.encoder, vae.decoder, VAE_SHAPE.batch),
  // Values of two batches, slope of one, and the gradients of both.
  "energy-step": {
    flops: 9 * ENERGY_SHAPE.batch * products(ENERGY_SHAPE.widths),
    bytes: 28 * weights(ENERGY_SHAPE.widths),
  },
  langevin: { flops: 2 * CHAINS * products(ENERGY_SHAPE.widths), bytes: 2 * FLOAT * CHAINS * 2 },
  // Draws written and read once, weights written and read twice.
  snis: { flops: 0, bytes: FLOAT * MILLION * (2 * 2 + 4) },
  "snis-vae": { flops: DIGIT_PARTICLES * VAE_SHAPE.batch * products(vae.decoder), bytes: 0 },
  "iwae-step": training(IWAE_SHAPE.batch, iwae.encoder, iwae.decoder, IWAE_SHAPE.batch * IWAE_SHAPE.k),
  "notmiwae-step": training(WINE_SHAPE.batch, wine.encoder, wine.decoder, WINE_SHAPE.batch * WINE_SHAPE.k),
  "mala-gaussian": { flops: 0, bytes: FLOAT * 64 * 100 * 6 },
  "mala-logistic": { flops: 2 * 64 * 2 * REGRESSION_SHAPE.rows * REGRESSION_SHAPE.features, bytes: 0 },
};

/** Milliseconds below which no program on this machine can go. */
export const floorMs = ({ flops, bytes }: Cost, machine: Machine): number =>
  1e3 * Math.max(flops / machine.flops, bytes / machine.bytes);

/** The better of two measurements, each number by itself. */
export const bestOf = (a: Machine, b: Machine): Machine => ({
  flops: Math.max(a.flops, b.flops),
  bytes: Math.max(a.bytes, b.bytes),
});

/** Sides of the square product that is timed, and how often. */
const SIDE = 1024;
const REPEATS = 8;
const COPIED = 1 << 26;

/** Measures this machine: the native runtime's matrix product where it is installed, else that of this library. */
export async function measureMachine(): Promise<Machine> {
  const tf = await import("@tensorflow/tfjs-core");
  const [{ compile }, { ensureEngine, ndarray }] = [await import("tilted/compile"), await import("tilted")];
  await ensureEngine();
  const side = ndarray(new Float32Array(SIDE * SIDE).fill(1e-3), [SIDE, SIDE]);
  const timed = async (run: () => unknown): Promise<number> => {
    await run();
    let best = Number.POSITIVE_INFINITY;
    for (let i = 0; i < REPEATS; i++) {
      const start = performance.now();
      await run();
      best = Math.min(best, performance.now() - start);
    }
    return best / 1e3;
  };
  const eager = await timed(() =>
    tf.tidy(
      () =>
        void tf.matMul(side.tensor() as import("@tensorflow/tfjs-core").Tensor2D, side.tensor() as never).dataSync(),
    ),
  );
  let best = eager;
  try {
    const product = compile(({ a, b }) => ({ c: tf.sum(tf.matMul(a as never, b as never)) }), {
      name: "product",
      threads: 1,
    });
    best = Math.min(best, await timed(() => product.run({ a: side, b: side })));
    product.dispose();
  } catch {
    // Without a runtime the eager product stands.
  }
  const from = new Float32Array(COPIED / FLOAT).fill(1);
  const to = new Float32Array(COPIED / FLOAT);
  const copy = await timed(() => to.set(from));
  return { flops: (2 * SIDE ** 3) / best, bytes: (2 * COPIED) / copy };
}
