/** The estimate of a bound, compiled: log-weights of one chunk of rows, traced once for all chunks, with parameters as inputs. */
import type * as tf from "@tensorflow/tfjs-core";
import type { Values } from "../../compiler/step.ts";
import { scope } from "../../core/scope.ts";
import { mapTree, type TensorTree, toTensors } from "../../core/tree.ts";
import type { Problem } from "../method/infer.ts";
import type { ModelAndGuide } from "../problem/model-and-guide.ts";
import { perPopulationRow, weigh } from "../problem/weigh.ts";
import { type Compilable, disagreement, infoOf, maybeCompile, tooLittleWork } from "../train/compile-policy.ts";
import { tracedRun } from "../train/traced-run.ts";
import { type BoundPart, type BoundParts, eagerPart } from "./estimate-bound.ts";

/** Compiled log-weights of a part; undefined where they must be computed op by op. */
export interface BoundProgram {
  weights(part: BoundPart): Float32Array | undefined;
  dispose(): void;
}

const NONE: BoundProgram = { weights: () => undefined, dispose: () => undefined };

/**
 * Compiles the log-weights of a model and its guide where that pays. What cannot be compiled runs op by op, even where the training that it
 * belongs to must be compiled.
 *
 * @param repeats - How often the bound will be estimated.
 */
export async function compileBound(
  pair: ModelAndGuide,
  { choice, threads }: Pick<Problem, "choice" | "threads">,
  parts: BoundParts,
  repeats: number,
): Promise<BoundProgram> {
  const runs = parts.count * repeats;
  const { compiled } = await maybeCompile({
    what: "bound",
    choice: choice === "compiled" ? "auto" : choice,
    skipReason: runs < 2 ? "the bound is estimated in one run" : undefined,
    compile: () => traceBound(pair, threads, parts, runs),
    compare: (program) =>
      scope(() => {
        const part = { ...parts.first, params: toTensors(pair.params) };
        const found = program.weights(part);
        return found === undefined ? "it gives nothing" : disagreement("log-weight", eagerPart(pair, part), found, 1);
      }),
  });
  return compiled ?? NONE;
}

async function traceBound(
  pair: ModelAndGuide,
  threads: number | undefined,
  { first, other, closed }: BoundParts,
  runs: number,
): Promise<BoundProgram & Compilable> {
  const began = performance.now();
  const names = Object.keys(pair.params);
  const run = tracedRun<Omit<BoundPart, "params">>("bound", first, other);
  // Loaded when first needed: the compiler is a third of a small bundle.
  const { compileStep } = await import("../../compiler/step.ts");
  const step = await compileStep({
    what: "bound",
    inputs: mapTree(pair.params, ({ shape }) => ({ shape, dtype: "float32" as const })),
    body: (params: TensorTree) => ({ weights: perPopulationRow(weigh(pair, { ...run.standIn, params, closed })) }),
    vary: run.vary,
    native: true,
    skipReason: (multiplications) => tooLittleWork(multiplications * runs),
    ...(threads !== undefined && { threads }),
  });
  return {
    info: infoOf(step, began),
    weights(part) {
      if (part.particles !== first.particles || part.rows !== first.rows) return undefined;
      run.set(part);
      const feeds = Object.fromEntries(names.map((name) => [name, (part.params[name] as tf.Tensor).dataSync()]));
      return (step.run(feeds as Values) as Values | undefined)?.weights as Float32Array | undefined;
    },
    dispose: () => step.dispose(),
  };
}
