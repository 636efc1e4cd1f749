import { expect, it } from "vitest";
import { createBuilder } from "./graph.ts";
import { createProgram } from "./session.ts";

it("runs a product", async () => {
  const g = createBuilder();
  const [x, w] = [g.input("x", [2, 2]), g.input("w", [2, 2])];
  const y = g.binary("add", g.matmul(x, w, { transposeB: true }), g.constant(1));
  const graph = g.finish([
    { name: "y", node: y },
    { name: "x", node: x },
    { name: "z", node: y },
  ]);
  for (const runtime of ["node", "web"] as const)
    for (const dtype of ["float32", "float64"] as const) {
      using program = await createProgram(graph, { dtype, runtime });
      const out = await program.runAsync({ x: Float32Array.of(1, 2, 3, 4), w: Float32Array.of(1, 0, 0, 1) });
      expect(Array.from(out.y!)).toEqual([2, 3, 4, 5]);
      expect(Array.from(out.x!)).toEqual([1, 2, 3, 4]);
      expect(Array.from(out.z!)).toEqual([2, 3, 4, 5]);
      expect(program.synchronous).toBe(runtime === "node");
    }
});
