/** A little of everything that the package promises, as one program: the same in Node and in a browser. */
import * as tf from "@tensorflow/tfjs-core";
import * as E from "fp-ts/lib/Either.js";
import {
  type EngineInfo,
  elbo,
  infer,
  langevin,
  model,
  type NdArray,
  ndarray,
  observe,
  plate,
  rootKey,
  sample,
  snis,
  tilt,
  useEngine,
} from "tilted";
import { loadIdxFolder, loadMnistPackage, nineGaussians } from "tilted/data";
import { bernoulli, beta, categorical, gamma, normal, poisson } from "tilted/dist";
import { encode, vae } from "tilted/models";
import { linear, mlp } from "tilted/nn";
import { adam } from "tilted/optim";
import { scatter, toPng } from "tilted/plot";

/** What the program found. */
export interface Findings {
  readonly engine: EngineInfo;
  /** Bits of draws by family: equal everywhere. */
  readonly draws: { readonly [family: string]: string };
  /** Numbers that depend on the engine's rounding. */
  readonly close: { readonly [name: string]: readonly number[] };
  /** What functions that need Node, files or an optional peer say when they refuse. */
  readonly refusals: { readonly [name: string]: string };
  readonly svg: string;
}

/** FNV-1a over the bytes. */
function digest({ buffer, byteOffset, byteLength }: ArrayBufferView): string {
  let hash = 0x811c9dc5;
  for (const byte of new Uint8Array(buffer, byteOffset, byteLength)) hash = Math.imul(hash ^ byte, 0x01000193);
  return (hash >>> 0).toString(16).padStart(8, "0");
}

const refusal = (result: E.Either<Error, unknown>): string => (E.isLeft(result) ? result.left.message : "");

const DRAWS = 1000;

const families = model(function* () {
  yield* sample("normal", normal(0, 1));
  yield* sample("gamma", gamma(0.7, 2));
  yield* sample("beta", beta(0.5, 2));
  yield* sample("poisson", poisson(3.5));
  yield* sample("bernoulli", bernoulli({ probs: 0.3 }));
  yield* sample("categorical", categorical({ probs: tf.tensor1d([0.2, 0.5, 0.3]) }));
});

const LATENT = 2;
const SIZE = 6;
const decoder = mlp("decoder", [LATENT, 16, SIZE]);
const [loc, logScale] = [linear("loc", SIZE, LATENT), linear("logScale", SIZE, LATENT)];

const pictures = model(function* (x: NdArray) {
  yield* plate("data", x.shape[0] ?? 0, function* () {
    const z = yield* sample("z", normal(tf.zeros([LATENT]), 1).event(1));
    yield* observe("x", bernoulli({ logits: yield* decoder(z) }, { grey: true }).event(1), x);
  });
});

const guide = model(function* (x: NdArray) {
  yield* plate("data", x.shape[0] ?? 0, function* () {
    const rows = tf.tensor(x.data as Float32Array, [...x.shape]);
    yield* sample("z", normal(yield* loc(rows), tf.exp(yield* logScale(rows))).event(1));
  });
});

const stripes = ndarray(
  Float32Array.from({ length: 12 * SIZE }, (_, i) => (i + Math.floor(i / SIZE)) % 2),
  [12, SIZE],
);

/** The package's answers to a few small questions, on an engine with these options. */
export async function findings(options: { readonly wasmPaths?: string; readonly threads?: number }): Promise<Findings> {
  const engine = await useEngine("wasm", options);

  const drawn = await infer(families, snis(DRAWS), { seed: 7 });
  const draws = Object.fromEntries(Object.entries(drawn.sites).map(([name, { data }]) => [name, digest(data)]));

  // p = N(0, 1), E = x²/2 − x: the tilt is N(1/2, 1/2).
  const base = model(function* () {
    return yield* sample("x", normal(0, 1));
  });
  const tilted = tilt("x", (x: tf.Tensor) => tf.sub(tf.div(tf.square(x), 2), x))(base);
  const weighted = await infer(tilted, snis(20_000), { seed: 1 });
  const chains = await infer(tilted, langevin({ chains: 16, steps: 200, stepSize: 0.1, adjusted: true }), { seed: 2 });

  const fit = await infer(pictures, elbo(guide, { optimizer: adam(1e-2), steps: 5 }), { args: [stripes], seed: 3 });

  const auto = vae({ features: SIZE, latent: LATENT, hidden: [8] });
  const trained = await infer(auto.model, elbo(auto.guide, { steps: 3 }), { args: [stripes], seed: 4 });

  const { points } = nineGaussians().sample(rootKey(5), 50);
  const column = (j: number) => points.filter((_, i) => i % 2 === j);
  const figure = scatter({ title: "Nine Gaussians", series: [{ name: "draws", x: column(0), y: column(1) }] });

  return {
    engine,
    draws,
    close: {
      snis: [weighted.expectation("x").value, weighted.logEvidence.value, weighted.essRatio],
      langevin: [chains.diagnostics.x.mean.data[0] ?? Number.NaN, chains.acceptance],
      elbo: fit.history.train,
      vae: [...encode(auto, trained.params, stripes).loc.data],
    },
    refusals: {
      toPng: await toPng(figure).then(
        () => "",
        (error: Error) => error.message,
      ),
      loadIdxFolder: refusal(await loadIdxFolder("nowhere")()),
      loadMnistPackage: refusal(await loadMnistPackage()()),
      nodeGpu: await useEngine("node-gpu").then(
        () => "",
        (error: Error) => error.message,
      ),
    },
    svg: figure.svg,
  };
}
