/** A MIWAE of a mixed table: measures, species, island and sex of 344 penguins, some of which nobody wrote down. */
import { infer, iwae, type NdArray, ndarray, rootKey, snis } from "tilted";
import { hide, mcar, standardize } from "tilted/data";
import { miwae, mixedTable, tableFeatures, tableWidth } from "tilted/models";
import { adam } from "tilted/optim";
import { type Figure, scatter } from "tilted/plot";
import { CLASSES, KINDS, MEASURES, readPenguins } from "./table.ts";

const LATENT = 3;
const K = 20;
const STEPS = 2000;
/** Share of the known entries that are hidden to see how well they are guessed. */
const HIDDEN = 0.2;
const DRAWS = 2000;
const IMPUTATIONS = 200;
/** Standard normal quantile of a 90 % interval. */
const WIDE = 0.05;

const width = tableWidth(KINDS);
const net = miwae({ features: width, latent: LATENT, hidden: [64], likelihood: mixedTable(KINDS), batch: 43 });

/** Fits to what is observed, and imputes the rest. */
async function impute(x: NdArray, mask: NdArray, seed: number) {
  const args = tableFeatures(x, mask, KINDS);
  const fit = await infer(net.model, iwae(net.guide, K, { optimizer: adam(3e-3), steps: STEPS }), { args, seed });
  const sampler = snis(DRAWS, { proposal: net.guide, rows: "each", keep: false, resamples: IMPUTATIONS });
  return infer(net.imputer, sampler, { args, params: fit.params, seed: seed + 1 });
}

/** Measures standardised, classes as they are. */
function prepared(x: NdArray, mask: NdArray) {
  const { x: scaled, mean, sd } = standardize(x, mask);
  const isMeasure = (at: number) => at % KINDS.length < MEASURES.length;
  return {
    mean,
    sd,
    x: ndarray(
      Float32Array.from(x.data, (v, at) => (isMeasure(at) ? (scaled.data[at] as number) : v)),
      x.shape,
    ),
  };
}

export async function penguins(): Promise<{ readonly [name: string]: Figure }> {
  const { x, mask } = readPenguins();
  const [n, columns] = x.shape as [number, number];
  await score(x, mask);

  // All that is known, for what is not.
  const table = prepared(x, mask);
  const found = await impute(table.x, mask, 1);
  const means = found.mean("imputed").value.data;
  const draws = found.resamples.complete.data;
  const value = (row: number, column: number, from: ArrayLike<number>, copy = 0) =>
    (from[(copy * n + row) * width + column] as number) * (table.sd[column] as number) + (table.mean[column] as number);
  const gaps = Array.from({ length: n }, (_, i) => i).filter((i) =>
    mask.data.subarray(i * columns, (i + 1) * columns).includes(0),
  );
  const unmeasured = gaps.filter((i) => mask.data[i * columns] === 0);
  const known = (i: number) => CLASSES.Species[x.data[i * columns + MEASURES.length] as number] as string;
  for (const i of unmeasured) {
    const guesses = MEASURES.map((name, j) => `${name} ${value(i, j, means).toFixed(j === 3 ? 0 : 1)}`);
    console.log(`  bird ${i}, ${known(i)}, never measured: ${guesses.join(", ")}`);
  }
  const male = width - 1;
  const unsexed = gaps.map((i) => ({ i, p: means[i * width + male] as number }));
  for (const { i, p } of unsexed) {
    const mass = mask.data[i * columns] === 1 ? `${x.data[i * columns + 3]} g` : "no measures";
    console.log(`  bird ${i}, ${known(i)}, ${mass}: male with probability ${p.toFixed(2)}`);
  }

  const LENGTH = 0;
  const FLIPPER = 2;
  const pair = (rows: readonly number[], at: (i: number, j: number) => number) =>
    Float32Array.from(rows.flatMap((i) => [at(i, LENGTH), at(i, FLIPPER)]));
  const measured = Array.from({ length: n }, (_, i) => i).filter((i) => mask.data[i * columns] === 1);
  const everyone = pair(measured, (i, j) => x.data[i * columns + j] as number);
  const copies = Array.from({ length: IMPUTATIONS }, (_, m) => m);
  const clouds = unmeasured.map((i) => ({
    name: `${IMPUTATIONS} imputations of one ${known(i)}`,
    points: Float32Array.from(copies.flatMap((m) => [value(i, LENGTH, draws, m), value(i, FLIPPER, draws, m)])),
  }));
  const series = (name: string, points: Float32Array, colour?: string) => ({
    name,
    x: points.filter((_, at) => at % 2 === 0),
    y: points.filter((_, at) => at % 2 === 1),
    ...(colour && { colour }),
  });
  return {
    penguins: scatter({
      title: "Two penguins that nobody measured",
      subtitle: "Species and island are on record; each imputation is a bird that they could have been",
      caption: `Draws of p(missing | observed) from a MIWAE of the whole table; grey: the ${measured.length} measured birds.`,
      xLabel: MEASURES[LENGTH],
      yLabel: MEASURES[FLIPPER],
      height: 420,
      series: [series("measured", everyone, "#b4b9c2"), ...clouds.map(({ name, points }) => series(name, points))],
    }),
  };
}

/** Hides a fifth of what is known and says how well it is guessed. */
async function score(x: NdArray, mask: NdArray): Promise<void> {
  const columns = KINDS.length;
  const kept = mcar(x, HIDDEN, rootKey("penguins"));
  const seen = ndarray(
    Float32Array.from(mask.data, (s, at) => (s === 1 && kept.data[at] === 1 ? 1 : 0)),
    mask.shape,
  );
  const table = prepared(x, seen);
  const found = await impute(hide(table.x, seen), seen, 11);
  const [n] = x.shape as [number];
  const [means, draws] = [found.mean("imputed").value.data, found.resamples.complete.data];
  let [square, plain, covered, count] = [0, 0, 0, 0];
  const right: { [name: string]: [right: number, common: number, of: number] } = {};
  for (let i = 0; i < n; i++)
    for (let j = 0; j < columns; j++) {
      if (mask.data[i * columns + j] === 0 || seen.data[i * columns + j] === 1) continue;
      const truth = table.x.data[i * columns + j] as number;
      if (j < MEASURES.length) {
        const at = i * width + j;
        square += ((means[at] as number) - truth) ** 2;
        plain += truth ** 2;
        const sorted = Float32Array.from(
          { length: IMPUTATIONS },
          (_, m) => draws[(m * n * width + at) as number] as number,
        ).sort();
        const low = sorted[Math.floor(WIDE * IMPUTATIONS)] as number;
        const high = sorted[Math.ceil((1 - WIDE) * IMPUTATIONS) - 1] as number;
        if (truth >= low && truth <= high) covered++;
        count++;
      } else {
        const [name, classes] = Object.entries(CLASSES)[j - MEASURES.length] as [string, readonly string[]];
        const from = i * width + columnStart(j);
        const probs = [...means.subarray(from, from + classes.length)];
        right[name] ??= [0, 0, 0];
        right[name][0] += probs.indexOf(Math.max(...probs)) === truth ? 1 : 0;
        right[name][1] += commonest(x, seen, j, classes.length) === truth ? 1 : 0;
        right[name][2]++;
      }
    }
  const rmse = (s: number) => Math.sqrt(s / count).toFixed(3);
  console.log(
    `  a fifth hidden: ${count} measures guessed with RMSE ${rmse(square)} sd (by the mean ${rmse(plain)}); 90 % intervals hold ${((100 * covered) / count).toFixed(0)} %`,
  );
  for (const [name, [good, base, of]] of Object.entries(right))
    console.log(`  ${name.padEnd(8)} guessed right ${good} times of ${of} (the commonest: ${base})`);
}

/** First feature of a column. */
const columnStart = (j: number): number => tableWidth(KINDS.slice(0, j));

function commonest(x: NdArray, seen: NdArray, j: number, classes: number): number {
  const counts = new Array<number>(classes).fill(0);
  for (let at = j; at < x.data.length; at += KINDS.length) if (seen.data[at] === 1) counts[x.data[at] as number]!++;
  return counts.indexOf(Math.max(...counts));
}
