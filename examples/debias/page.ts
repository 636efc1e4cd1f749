/** report.html: one page that a teacher would show. */
import { type Block, type Figure, facts, figures, list, note, report, table, text } from "tilted/plot";
import { baseTitle } from "./figures.ts";
import type { BaseName, Options } from "./options.ts";
import { CLASSES } from "./recipe.ts";
import type { Summary } from "./summary.ts";

const share = (x: number) => x.toFixed(3);
/** Small differences of log Z, with a true minus sign. */
const nats = (x: number) => x.toFixed(4).replace("-", "−");

/** The report, from the numbers and the figures. */
export function drawReport(summary: Summary, drawn: ReadonlyMap<string, Figure>, options: Options): string {
  const { before, snis, langevin, baselines, bases, vae, data, seconds } = summary;
  const figure = (name: string): Block[] =>
    [...drawn].filter(([file]) => file.endsWith(name)).map(([, drawing]) => figures(drawing));
  const row = (name: string, b: { shares: readonly number[]; tv: number; fairness: number }, worth: string) => [
    name,
    ...b.shares.map(share),
    share(b.tv),
    share(b.fairness),
    worth,
  ];
  const baseRow = (base: BaseName) => {
    const { before: untilted, snis: weighted, logZ } = bases[base];
    return [
      baseTitle(base) + (base === options.base ? " (used above)" : ""),
      share(untilted.tv),
      share(weighted.tv),
      share(weighted.essRatio),
      weighted.khat.toFixed(2).replace("-", "−"),
      `${nats(logZ.lower)} to ${nats(logZ.upper)}`,
    ];
  };
  const trusted = snis.khat < 0.7 && snis.essRatio > 0.1;
  return report({
    title: "Even digits from a biased model",
    subtitle: `A VAE trained on skewed classes, its ${options.latent}-D latent base tilted by an energy fitted to ${sum(data.unbiasedCounts)} balanced digits`,
    sections: [
      {
        title: "In short",
        blocks: [
          facts({
            "total variation before": share(before.tv),
            "energy-weighted": share(snis.tv),
            Langevin: share(langevin.tv),
            "worth of a weighted draw (ESS/n)": share(snis.essRatio),
          }),
          text(
            "Total variation is half the summed distance of the class shares from even ones: 0 is even, 0.8 is one class only. " +
              "It is measured by a classifier on decoded samples " +
              `(${(100 * summary.classifier.accuracy).toFixed(1)} % of held-out digits named rightly).`,
          ),
          ...(trusted
            ? []
            : [
                note(
                  `**Do not trust the weighted samples of this run**: Pareto k = ${snis.khat.toFixed(2)}, ESS/n = ${share(snis.essRatio)}.`,
                ),
              ]),
        ],
      },
      {
        title: "1. A biased model",
        blocks: [
          text(
            `The VAE sees ${sum(data.biasedCounts)} digits of ${data.name}, most of them ones and twos, and reproduces their skew: ` +
              `${vae.epochs} epoch${vae.epochs === 1 ? "" : "s"}, ${vae.trainLoss.toFixed(1)} nats per digit on its training digits and ${vae.validationLoss.toFixed(1)} on held-out ones.`,
          ),
          ...figure("labels"),
          ...figure("training"),
          ...figure("latents"),
        ],
      },
      {
        title: "2. The tilt",
        blocks: [
          text(
            'The corrected model is *p(z) · exp(−E(z)) / Z*: one line, `tilt("z", energy)`, which yields `factor(-E(z))` after the site `z`. ' +
              "The energy is fitted to the balanced digits through the encoder, with no labels; every row is held out once to decide when to stop.",
          ),
          ...figure("energy"),
          ...figure("overlay"),
          ...figure("decoded"),
        ],
      },
      {
        title: "3. Sampling it",
        blocks: [
          list(
            `**Importance sampling** draws from the ${baseTitle(options.base)} and weights by *exp(−E)*; ESS/n is ${share(snis.essRatio)}, Pareto k is ${snis.khat.toFixed(2).replace("-", "−")} (below 0.7 is reliable).`,
            `**Langevin dynamics** (MALA, temperature 1) walks in the tilted density; acceptance ${share(langevin.acceptance)}, largest R-hat ${langevin.rhat.toFixed(3)}.`,
          ),
          ...figure("weights"),
          ...figure("langevin"),
        ],
      },
      {
        title: "4. What came out",
        blocks: [
          ...figure("shares"),
          table(
            ["samples", ...CLASSES.map(String), "TV", "fairness", "worth"],
            [
              row("biased VAE, prior", before, ""),
              row("energy-weighted", snis, `ESS/n ${share(snis.essRatio)}`),
              row("Langevin", langevin, `R-hat ${langevin.rhat.toFixed(2)}`),
              ...(baselines !== undefined
                ? [
                    row(
                      "VAE on balanced digits only",
                      baselines.unbiasedOnly,
                      `${baselines.unbiasedOnly.validationLoss.toFixed(1)} nats`,
                    ),
                    row(
                      "biased VAE, fine-tuned",
                      baselines.fineTuned,
                      `${baselines.fineTuned.validationLoss.toFixed(1)} nats`,
                    ),
                  ]
                : []),
            ],
            `Shares over ${options.samples.toLocaleString("en")} decoded samples each. TV: total variation from even; fairness: Euclidean distance from even. Nats: held-out −ELBO on balanced digits.`,
          ),
          table(
            ["base", "TV untilted", "TV tilted", "ESS/n", "Pareto k", "log Z between"],
            [baseRow("prior"), baseRow("aggregate")],
            "Two bases for the same tilt. The aggregated posterior of the biased digits is where the decoder was trained; the prior also covers places where it was not.",
          ),
        ],
      },
    ],
    footer: `seed ${summary.seed}, engine ${summary.engine}, objective ${options.objective}, ${seconds.total.toFixed(0)} seconds`,
  });
}

const sum = (xs: readonly number[]) => xs.reduce((a, b) => a + b, 0);
