/**
 * Why importance weights fail in the space of pictures, on a case with a formula: N(0, I) tilted by ½|x|². A draw of the base is worth
 * ESS/n = (3/4)^{d/2} unweighted ones, which is .75 in the plane and 1e−49 for 784 pixels. The result says so by itself.
 */
import * as tf from "@tensorflow/tfjs-core";
import { pipe } from "fp-ts/lib/function.js";
import { infer, model, sample, snisOutputs, tilt } from "tilted";
import { normal } from "tilted/dist";
import { type Figure, lines } from "tilted/plot";

const DIMENSIONS = [2, 5, 10, 20, 50, 100, 200, 784];
const OUTPUTS = 50;
const PROPOSALS = 256;

export async function collapse(save: (name: string, figure: Figure) => Promise<void>): Promise<void> {
  console.log(
    `\nSNIS by dimension: N(0, I) tilted by ½|x|², ${PROPOSALS} fresh proposals for each of ${OUTPUTS} outputs`,
  );
  console.log("    d   worth by formula   measured   trusted");
  const found: number[] = [];
  for (const d of DIMENSIONS) {
    const base = model(function* () {
      return yield* sample("x", normal(tf.zeros([d]), 1).event(1));
    });
    const half = (x: tf.Tensor) => tf.mul(0.5, tf.sum(tf.square(x), -1));
    const out = await infer(pipe(base, tilt("x", half)), snisOutputs(OUTPUTS, { proposals: PROPOSALS }), { seed: 1 });
    const exact = PROPOSALS * 0.75 ** (d / 2);
    console.log(
      `${String(d).padStart(5)}   ${exact.toPrecision(3).padStart(16)}   ${out.essPerOutput.toFixed(1).padStart(8)}   ${out.trusted ? "yes" : "no"}`,
    );
    if (d === DIMENSIONS.at(-1)) for (const warning of out.warnings) console.log(`  warning: ${warning}`);
    found.push(out.essPerOutput);
  }
  await save(
    "collapse",
    lines({
      title: "Importance weights by dimension",
      subtitle: `what ${PROPOSALS} proposals are worth when N(0, I) is tilted by ½|x|²; at 1 an output is only the best of its proposals`,
      series: [
        { name: "measured", x: DIMENSIONS, y: found },
        {
          name: "256·(3/4)^(d/2), but at least 1",
          x: DIMENSIONS,
          y: DIMENSIONS.map((d) => Math.max(1, PROPOSALS * 0.75 ** (d / 2))),
          dashed: true,
        },
      ],
      xLabel: "dimensions",
      yLabel: "effective proposals",
      xLog: true,
      yLog: true,
    }),
  );
}
