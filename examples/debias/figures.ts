/** The figures of the walkthrough, each answering one question. */
import { pipe } from "fp-ts/lib/function.js";
import { logDensities, type NdArray, ndarray, tilt } from "tilted";
import { decode } from "tilted/models";
import {
  boundsOf,
  energySurface,
  evaluateGrid,
  type Figure,
  imageGrid,
  labelHistogram,
  langevinPaths,
  latentScatter,
  samplesOverlay,
  trainingCurves,
  weightHistogram,
} from "tilted/plot";
import type { BaseName } from "./options.ts";
import type { Outcome } from "./pipeline.ts";
import { planeOf } from "./plane.ts";
import { CLASSES } from "./recipe.ts";
import { spreadRows } from "./rows.ts";

const CLASS_NAMES = CLASSES.map(String);
/** Decoded digits shown of each kind. */
const SHOWN = 40;
const PER_ROW = 8;
const GRID_WIDTH = 900;
/** Weighted draws shown over the latent plane. */
const OVERLAID = 1000;
/** Chains whose paths are drawn, and how many of their first steps. */
const PATHS = 4;
const PATH_STEPS = 40;

const percent = (share: number) => `${Math.round(100 * share)} %`;
export const baseTitle = (base: BaseName) => (base === "prior" ? "prior N(0, I)" : "aggregated posterior");

/** All figures by file name, in the order of the story. */
export function drawFigures(outcome: Outcome, chosen: BaseName): ReadonlyMap<string, Figure> {
  const { sets, vae, net, posteriors, before, tilts, langevin, baselines } = outcome;
  const latent = net.options.latent;
  const tilted = tilts[chosen];
  const plane = planeOf(posteriors.biased.loc);
  const axes = latent === 2 ? {} : { xLabel: "first principal axis", yLabel: "second principal axis" };
  const where = latent === 2 ? "" : `, first two principal axes of ${latent}`;
  const decoded = (z: NdArray) => decode(net, vae.params, spreadRows(z, SHOWN)).data as Float32Array;
  const balanced = { points: plane(posteriors.unbiased.loc), labels: sets.unbiased.labels, classes: CLASS_NAMES };

  const story: (readonly [string, Figure])[] = [
    [
      "labels",
      labelHistogram({
        title: "What trains the model, and what corrects it",
        subtitle: `${sets.biased.count} biased digits train the VAE; ${sets.unbiased.count} balanced ones, without their labels, fit the energy`,
        classes: CLASS_NAMES,
        series: [
          { name: "biased", counts: sets.biasedCounts },
          { name: "balanced", counts: sets.unbiasedCounts },
        ],
        show: "counts",
        xLabel: "digit",
      }),
    ],
    [
      "training",
      trainingCurves({
        title: "Training the VAE on the biased digits",
        subtitle: "negative ELBO: an upper bound of −log p(x)",
        curves: [
          { name: "training", values: vae.train },
          { name: "held out", values: vae.validation, dashed: true },
        ],
        yLabel: "nats per digit",
        best: vae.validation.indexOf(Math.min(...vae.validation)) + 1,
      }),
    ],
    [
      "latents",
      latentScatter({
        title: "Where the encoder puts the biased digits",
        subtitle: `posterior means, coloured by class${where}`,
        points: plane(posteriors.biased.loc),
        labels: sets.biased.labels,
        classes: CLASS_NAMES,
        ...axes,
      }),
    ],
    [
      "decoded",
      imageGrid({
        title: "Digits before and after the tilt",
        subtitle: `total variation from even classes: ${before.tv.toFixed(3)} before, ${tilted.snis.tv.toFixed(3)} after`,
        sets: [
          { name: "prior draws of the biased VAE", images: decoded(outcome.beforeZ) },
          { name: `energy-weighted draws (${baseTitle(chosen)})`, images: decoded(tilted.z) },
        ],
        perRow: PER_ROW,
        width: GRID_WIDTH,
      }),
    ],
    [
      "overlay",
      samplesOverlay({
        title: "Latents, prior draws and weighted draws",
        subtitle: `weighted draws should lie where the balanced digits do${where}`,
        clouds: [
          { name: "prior draws", points: plane(spreadRows(outcome.beforeZ, OVERLAID)), as: "contours" },
          { name: "weighted draws", points: plane(spreadRows(tilted.z, OVERLAID)) },
          { name: "balanced digits", points: balanced.points },
        ],
        ...axes,
      }),
    ],
    ...(latent === 2 ? surfaces(outcome, chosen) : []),
    [
      "weights",
      weightHistogram({
        title: "What the weighted draws are worth",
        subtitle: `self-normalised importance sampling over the ${baseTitle(chosen)}`,
        weights: tilted.snis.weights,
      }),
    ],
    [
      "shares",
      labelHistogram({
        title: "Classes that are generated",
        subtitle: "shares of decoded samples, counted by a classifier",
        classes: CLASS_NAMES,
        series: [
          { name: "biased VAE", counts: before.shares },
          { name: "energy-weighted", counts: tilted.snis.shares },
          { name: "Langevin", counts: langevin.shares },
          ...(baselines === undefined
            ? []
            : [
                { name: "balanced only", counts: baselines.unbiasedOnly.shares },
                { name: "fine-tuned", counts: baselines.fineTuned.shares },
              ]),
        ],
        xLabel: "digit",
      }),
    ],
  ];
  return new Map(story.map(([name, figure], i) => [`${i + 1}-${name}`, figure]));

  /** The tilted density over the latent plane, with the balanced digits and with Langevin paths. */
  function surfaces({ chains }: Outcome, base: BaseName): (readonly [string, Figure])[] {
    const bounds = boundsOf([plane(posteriors.biased.loc), balanced.points]);
    const program = pipe(tilted.base, tilt("z", tilted.fit.energy));
    const grid = evaluateGrid(bounds, (points) => {
      const z = ndarray(points, [points.length / 2, 2]);
      return logDensities(program, { z }, { params: tilted.fit.params }).data as Float32Array;
    });
    const [count, steps, d] = chains.shape as [number, number, number];
    const drawn = Math.min(PATH_STEPS, steps);
    const path = (chain: number) => {
      const from = chain * steps * d;
      return (chains.data as Float32Array).subarray(from, from + drawn * d);
    };
    return [
      [
        "energy",
        energySurface({
          title: "The tilted latent density",
          subtitle: `log p(z) − E(z), p the ${baseTitle(base)}; points: the balanced digits`,
          grid,
          over: balanced,
        }),
      ],
      [
        "langevin",
        langevinPaths({
          title: "Langevin paths at temperature 1",
          subtitle: `the first ${drawn} steps of ${PATHS} of ${count} chains; acceptance ${percent(langevin.acceptance)}, R-hat ${langevin.rhat.toFixed(2)}`,
          caption:
            "Long straight lines are jumps: fresh draws of the base, taken or left by the energy. Without them no chain would leave its digit.",
          grid,
          paths: Array.from({ length: PATHS }, (_, i) => path(Math.floor((i * count) / PATHS))),
        }),
      ],
    ];
  }
}
