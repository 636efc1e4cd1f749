/** One fit of one model, and what its imputations are worth. */
import { type EffectsOf, infer, iwae, type NdArray, type SnisRowsResult, snis } from "tilted";
import { hide } from "tilted/data";
import { type Miwae, maskAccuracy, type NotMiwae } from "tilted/models";
import { adam, cosineDecay } from "tilted/optim";

type NotMiwaeEffects = EffectsOf<NotMiwae["model"]>;

export interface FitSettings {
  /** K of the bound. */
  readonly k: number;
  readonly steps: number;
  /** Adam's rate; with `decays` it falls to 0 along a cosine. */
  readonly rate: number;
  readonly decays?: boolean;
  /** L, draws of the imputation. */
  readonly draws: number;
  readonly seed: number;
}

export interface Imputed {
  /** Mean squared error over missing entries. */
  readonly mse: number;
  /** The bound, a row. */
  readonly bound: number;
  /** Share of mask entries that the model of the mask gets right, where there is one. */
  readonly maskAccuracy?: number;
  readonly seconds: number;
  readonly millisecondsPerStep: number;
  readonly engine: string;
}

/** Mean squared difference at missing places. */
export function missingMse(truth: NdArray, guess: NdArray, mask: NdArray): number {
  let [sum, count] = [0, 0];
  for (let at = 0; at < mask.data.length; at++) {
    if (mask.data[at] === 1) continue;
    sum += ((truth.data[at] as number) - (guess.data[at] as number)) ** 2;
    count++;
  }
  return sum / count;
}

/** Fits by the importance-weighted bound, imputes by the weighted mean of L draws. */
export async function impute(
  net: Miwae | NotMiwae,
  truth: NdArray,
  mask: NdArray,
  settings: FitSettings,
): Promise<Imputed> {
  const { k, steps, rate, decays = false, draws, seed } = settings;
  const optimizer = adam(decays ? cosineDecay({ from: rate, steps }) : rate);
  // Both kinds have the sites this needs; `imputed` is one of them.
  const { model, guide } = net as Miwae;
  const args: [NdArray, NdArray] = [hide(truth, mask), mask];
  const start = performance.now();
  const fit = await infer(model, iwae(guide, k, { optimizer, steps }), { args, seed });
  const trained = performance.now();
  const filled = await infer(model, snis(draws, { proposal: guide, rows: "each", keep: false }), {
    args,
    params: fit.params,
    seed: seed + 1000,
  });
  const compiled = fit.engine.compiled;
  return {
    mse: missingMse(truth, filled.mean("imputed").value, mask),
    bound: fit.bound.value / (truth.shape[0] as number),
    seconds: (performance.now() - start) / 1e3,
    millisecondsPerStep: (trained - start) / steps,
    engine: compiled?.used === true ? "compiled" : "wasm",
    // A model of the mask has no imputer apart: its own draws are imputations.
    ...(!("imputer" in net) && {
      maskAccuracy: maskAccuracy((filled as SnisRowsResult<NotMiwaeEffects>).mean("maskProbs").value, mask),
    }),
  };
}
