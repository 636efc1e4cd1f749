/**
 * The walkthrough: a VAE trained on digits with skewed classes generates balanced classes once its latent base is tilted.
 *
 *   npm start -- --help
 */
import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { progressBar, TiltedError, useEngine } from "tilted";
import { textHistogram, toPng } from "tilted/plot";
import { drawFigures } from "./figures.ts";
import { HELP, type Options, parseOptions } from "./options.ts";
import { drawReport } from "./page.ts";
import { debias } from "./pipeline.ts";
import { CLASSES } from "./recipe.ts";
import { loadDigits } from "./sets.ts";
import { type Summary, summarize } from "./summary.ts";

const fail = (message: string): never => {
  process.stderr.write(`${message}\n`);
  process.exit(1);
};

async function run(options: Options): Promise<void> {
  const loaded = await loadDigits(options.data)();
  const digits = loaded._tag === "Right" ? loaded.right : fail(loaded.left.message);
  const { note } = await (options.engine === "node-gpu" ? useEngine("node-gpu") : useEngine("wasm"));
  if (note !== undefined) console.log(note);
  mkdirSync(options.out, { recursive: true });
  const bar = progressBar();
  let stages = 0;
  const outcome = await debias(digits, options, {
    stage: (title) => console.log(`${++stages}. ${title}`),
    progress: bar,
  });
  console.log(`${++stages}. Drawing figures`);
  const figures = drawFigures(outcome, options.base);
  const summary = summarize(outcome, options);
  for (const [name, figure] of figures) {
    writeFileSync(join(options.out, `${name}.svg`), figure.svg);
    writeFileSync(join(options.out, `${name}.png`), await toPng(figure));
  }
  writeFileSync(join(options.out, "report.html"), drawReport(summary, figures, options));
  writeFileSync(join(options.out, "summary.json"), `${JSON.stringify(summary, null, 2)}\n`);
  print(summary, options);
}

/** What a person at a terminal wants to know. */
function print({ before, snis, langevin, baselines, seconds }: Summary, options: Options): void {
  const bars = (title: string, { shares, tv }: { shares: readonly number[]; tv: number }) =>
    console.log(
      `\n${title}: total variation ${tv.toFixed(3)}\n${textHistogram({
        labels: CLASSES,
        values: shares,
        show: (share) => `${(100 * share).toFixed(1)} %`,
      })}`,
    );
  bars("Before, prior draws of the biased VAE", before);
  bars(`Energy-weighted (ESS/n ${snis.essRatio.toFixed(2)}, Pareto k ${snis.khat.toFixed(2)})`, snis);
  bars(`Langevin (R-hat ${langevin.rhat.toFixed(2)}, acceptance ${langevin.acceptance.toFixed(2)})`, langevin);
  if (baselines !== undefined) {
    const { unbiasedOnly, fineTuned } = baselines;
    console.log(
      `\nBaselines, total variation: balanced digits only ${unbiasedOnly.tv.toFixed(3)}, fine-tuned ${fineTuned.tv.toFixed(3)}`,
    );
  }
  const { vae, energy, sampling, total } = seconds;
  const s = (x: number) => `${Math.round(x)} s`;
  console.log(`\n${s(total)} in all: VAE ${s(vae)}, energies ${s(energy)}, sampling ${s(sampling)}`);
  console.log(`Open ${join(options.out, "report.html")}`);
}

const parsed = parseOptions(process.argv.slice(2));
if (parsed._tag === "Left") fail(`${parsed.left}\nTry: npm start -- --help`);
else if (parsed.right === "help") process.stdout.write(HELP);
else {
  try {
    await run(parsed.right);
  } catch (error) {
    if (error instanceof TiltedError) fail(`${error.message} (${error.code})`);
    throw error;
  }
}
