/** Random programs on the evaluator in doubles and on ONNX Runtime in both precisions, simplified and not. */
import fc from "fast-check";
import { expect, it } from "vitest";
import type { Graph } from "../../src/compiler/ir/node.ts";
import { show } from "../../src/compiler/ir/show.ts";
import { simplify } from "../../src/compiler/passes/rules.ts";
import { createProgram } from "../../src/compiler/runtime/session.ts";
import { evaluate } from "../support/graph-reference.ts";
import { lcg } from "../support/lcg.ts";
import { graphInputs, graphOf, instructionLists } from "../support/random-graph.ts";

/** Programs for each precision; TILTED_FUZZ=3000 asks for more. */
const RUNS = Number(process.env.TILTED_FUZZ ?? 150);
/** One unit in the last place of each precision. */
const unit = { float32: 2 ** -23, float64: 2 ** -52 };
/**
 * How far a compiled program may be from the exact value: this many times what the exact program moves when each of its
 * values is moved by one unit in the last place, plus as many units of the largest value.
 */
const tolerated = 64;

/** Largest movement of each output over a few random perturbations of one relative `size`. */
function sensitivity(graph: Graph, size: number): Record<string, number> {
  const exact = evaluate(graph, graphInputs);
  const random = lcg(7);
  // What single width holds is exact here, such as the values that comparisons see; it stays.
  const nudge = (v: number) => (Math.fround(v) === v ? v : v * (1 + size * (random() < 0.5 ? -1 : 1)));
  const moved = Array.from({ length: 4 }, () => evaluate(graph, graphInputs, nudge));
  const spread = (name: string) =>
    Math.max(...moved.map((m) => m[name]!.reduce((worst, v, i) => Math.max(worst, Math.abs(v - exact[name]![i]!)), 0)));
  return Object.fromEntries(graph.outputs.map((o) => [o.name, spread(o.name)]));
}

it.each(["float32", "float64"] as const)("random programs agree with exact arithmetic in %s", async (dtype) => {
  await fc.assert(
    fc.asyncProperty(instructionLists(20), fc.boolean(), async (instructions, simplified) => {
      const graph = graphOf(instructions);
      const exact = evaluate(graph, graphInputs);
      // Perturbing shows rounding best when it is far above the rounding of the evaluator itself.
      const probe = 2 ** -30;
      const moved = sensitivity(graph, probe);
      const program = await createProgram(simplified ? simplify(graph) : graph, { dtype });
      const found = program.run(graphInputs);
      // Freed at once: a long run would hold thousands of sessions.
      program.dispose();
      for (const { name } of graph.outputs) {
        const largest = exact[name]!.reduce((m, v) => Math.max(m, Math.abs(v)), 1);
        const limit = tolerated * unit[dtype] * (moved[name]! / probe + largest);
        const gap = exact[name]!.reduce((worst, v, i) => Math.max(worst, Math.abs(v - found[name]![i]!)), 0);
        expect(found[name]!.length).toBe(exact[name]!.length);
        expect(Number.isNaN(gap) ? Infinity : gap, `${name}, limit ${limit}\n${show(graph)}`).toBeLessThanOrEqual(
          limit,
        );
      }
    }),
    { numRuns: RUNS },
  );
});
