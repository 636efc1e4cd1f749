/** Graphs on ONNX Runtime in both precisions against the evaluator in doubles. */
import { expect } from "vitest";
import type { Node } from "../../src/compiler/ir/node.ts";
import { show } from "../../src/compiler/ir/show.ts";
import { lower } from "../../src/compiler/lower/lower.ts";
import { type Builder, createBuilder } from "../../src/compiler/primitives/builder.ts";
import type { Arrays } from "../../src/compiler/runtime/ports.ts";
import { evaluate } from "./graph-reference.ts";
import { programFor } from "./programs.ts";

/** Values spread over [-3, 3] without repeats. */
export const spread = (n: number, scale = 3) =>
  Float32Array.from({ length: n }, (_, i) => scale * Math.sin(1.7 * i + 0.3));

/** Largest |found − expected| / max(1, |expected|); infinite where only one of the two is finite, or NaN. */
function distance(
  found: ArrayLike<number>,
  expected: ArrayLike<number>,
): { readonly gap: number; readonly at: number } {
  expect(found.length).toBe(expected.length);
  let worst = { gap: 0, at: -1 };
  for (let i = 0; i < expected.length; i++) {
    const [f, e] = [Number(found[i]), expected[i]!];
    if (Object.is(f, e) || f === e) continue;
    const gap = Math.abs(f - e) / Math.max(1, Math.abs(e));
    if (!(gap <= worst.gap)) worst = { gap: Number.isNaN(gap) ? Infinity : gap, at: i };
  }
  return worst;
}

const bounds = { float32: 4e-6, float64: 1e-13 };

/** Largest error allowed in each precision, relative to values above 1. */
export type Bounds = Readonly<typeof bounds>;

/** Runs the graph of one output on the runtime. */
export async function checkLowered(
  build: (g: Builder) => Node,
  inputs: Arrays,
  limits: Partial<Bounds> = {},
): Promise<void> {
  const g = createBuilder();
  const graph = g.finish([{ name: "y", node: build(g) }]);
  const expected = evaluate(graph, inputs).y!;
  for (const dtype of ["float32", "float64"] as const) {
    const program = await programFor(graph, { dtype });
    const found = program.run(inputs).y! as unknown as ArrayLike<number>;
    // What overflows in single width is infinite there.
    const representable =
      dtype === "float64" ? expected : expected.map((v) => (Math.abs(v) > 3.4e38 ? Math.fround(v) : v));
    const { gap, at } = distance(found, representable);
    const where = `${dtype} at ${at}: found ${found[at]}, expected ${expected[at]}\n${show(graph)}`;
    expect(gap, where).toBeLessThanOrEqual({ ...bounds, ...limits }[dtype]);
  }
}

/** The ONNX operators of a graph, in order. */
export const loweredOps = (
  build: (g: Builder) => Node | readonly Node[],
  precision: "float32" | "float64" = "float32",
): readonly string[] => {
  const g = createBuilder();
  const outputs = [build(g)].flat().map((node, i) => ({ name: `y${i}`, node }));
  return lower(g.finish(outputs), { precision }).model.nodes.map(({ op }) => op);
};
