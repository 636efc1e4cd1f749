/** A MIWAE of digits, each with a square cut out: it never saw a whole digit, and completes them all. */
import { infer, iwae, ndarray, rootKey, snis } from "tilted";
import { box, hide, loadMnistPackage } from "tilted/data";
import { binary, miwae } from "tilted/models";
import { relu } from "tilted/nn";
import { adam } from "tilted/optim";
import { type Figure, imageGrid } from "tilted/plot";

const PIXELS = 28 * 28;
const SIZE = { height: 28, width: 28 };
/** Digits used: every fourth of ten thousand. */
const STRIDE = 4;
const SIDE = 14;
const K = 5;
const BATCH = 64;
const STEPS = 1500;
const DRAWS = 400;
const IMPUTATIONS = 3;
/** Digits shown, and what stands for a hidden pixel. */
const SHOWN = 12;
const HOLE = 0.35;

export async function digits(): Promise<{ readonly [name: string]: Figure }> {
  const loaded = await loadMnistPackage()();
  if (loaded._tag === "Left") throw loaded.left;
  const { images, count } = loaded.right;
  const n = Math.floor(count / STRIDE);
  const pixels = new Float32Array(n * PIXELS);
  for (let i = 0; i < n; i++) pixels.set(images.subarray(i * STRIDE * PIXELS, (i * STRIDE + 1) * PIXELS), i * PIXELS);
  const x = ndarray(pixels, [n, PIXELS]);
  const mask = box(x, SIZE, SIDE, rootKey("digits"));
  const net = miwae({
    features: PIXELS,
    latent: 16,
    hidden: [200],
    activation: relu,
    likelihood: binary(),
    batch: BATCH,
  });
  const fit = await infer(net.model, iwae(net.guide, K, { optimizer: adam(1e-3), steps: STEPS, boundDraws: 1 }), {
    args: [hide(x, mask), mask],
    seed: 1,
  });
  console.log(
    `  ${n} digits with ${SIDE} × ${SIDE} pixels hidden; bound ${(fit.bound.value / n).toFixed(1)} nats a digit`,
  );

  const some = Array.from({ length: SHOWN }, (_, i) => Math.floor(((i + 0.5) * n) / SHOWN));
  const rows = (from: ArrayLike<number>, lead = 0) =>
    Float32Array.from(
      some.flatMap((i) => Array.from({ length: PIXELS }, (_, j) => from[(lead * n + i) * PIXELS + j] as number)),
    );
  const shown = ndarray(rows(pixels), [SHOWN, PIXELS]);
  const seen = ndarray(rows(mask.data), [SHOWN, PIXELS]);
  const sampler = snis(DRAWS, { proposal: net.guide, rows: "each", keep: false, resamples: IMPUTATIONS });
  const alone = miwae({ features: PIXELS, latent: 16, hidden: [200], activation: relu, likelihood: binary() });
  const found = await infer(alone.model, sampler, { args: [hide(shown, seen), seen], params: fit.params, seed: 2 });
  const mean = found.mean("imputed").value.data as Float32Array;
  const spread = found.variance("imputed").data as Float32Array;
  let [error, gray, hidden] = [0, 0, 0];
  const average = columnMeans(pixels, mask.data, n);
  seen.data.forEach((s: number, at: number) => {
    if (s === 1) return;
    error += ((mean[at] as number) - (shown.data[at] as number)) ** 2;
    gray += ((average[at % PIXELS] as number) - (shown.data[at] as number)) ** 2;
    hidden++;
  });
  console.log(
    `  hidden pixels of those shown: RMSE ${Math.sqrt(error / hidden).toFixed(3)} (by the pixel's mean ${Math.sqrt(gray / hidden).toFixed(3)})`,
  );
  const copies = found.resamples.imputed.data as Float32Array;
  const parts = [
    hide(shown, seen, HOLE).data as Float32Array,
    mean,
    ...Array.from({ length: IMPUTATIONS }, (_, m) => copies.slice(m * SHOWN * PIXELS, (m + 1) * SHOWN * PIXELS)),
    spread.map((v) => 2 * Math.sqrt(Math.max(0, v))),
    shown.data as Float32Array,
  ];
  const page = new Float32Array(parts.length * SHOWN * PIXELS);
  parts.forEach((part, r) => {
    page.set(part, r * SHOWN * PIXELS);
  });
  return {
    digits: imageGrid({
      title: "Digits completed by a model that never saw a whole one",
      subtitle: "By row: what the model sees, the mean imputation, three imputations, their spread, the digit itself",
      caption: `${n} digits, a square of ${SIDE} × ${SIDE} pixels hidden in each. The spread is the standard deviation over weighted draws, black at its largest, a half: dark where the visible part leaves open what was there. An imputation is the mean picture at one draw of its latent.`,
      width: 760,
      perRow: SHOWN,
      sets: [{ images: page }],
    }),
  };
}

/** Mean of every pixel over the digits that show it. */
function columnMeans(x: Float32Array, mask: ArrayLike<number>, n: number): Float64Array {
  return Float64Array.from({ length: PIXELS }, (_, j) => {
    let [sum, count] = [0, 0];
    for (let i = 0; i < n; i++) {
      sum += (x[i * PIXELS + j] as number) * (mask[i * PIXELS + j] as number);
      count += mask[i * PIXELS + j] as number;
    }
    return count === 0 ? 0 : sum / count;
  });
}
