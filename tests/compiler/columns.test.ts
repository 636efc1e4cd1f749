/** Columns of a repeated step become vectors: the same elements, and no operation on a column where a vector will do. */
import { describe, expect, it } from "vitest";
import { columnsAsVectors } from "../../src/compiler/passes/columns.ts";
import { simplify } from "../../src/compiler/passes/rules.ts";
import { createBuilder } from "../../src/compiler/primitives/builder.ts";
import { evaluate } from "../support/graph-reference.ts";

const values = (n: number, k: number) => Float32Array.from({ length: n }, (_, i) => Math.sin(k * i + k));

/** x + exp(y)·c for columns, rows of a matrix scaled by a column, and a column that comes of a product. */
function graph() {
  const b = createBuilder();
  const [x, y, m] = [b.input("x", [5, 1]), b.input("y", [5, 1]), b.input("m", [5, 3])];
  const w = b.input("w", [3, 1]);
  const sum = b.binary("add", x, b.binary("mul", b.unary("exp", y), b.constant(0.5)));
  return b.finish([
    { name: "sum", node: sum },
    { name: "scaled", node: b.binary("mul", m, sum) },
    { name: "product", node: b.binary("add", b.matmul(m, w), x) },
  ]);
}

describe("columns as vectors", () => {
  const plain = simplify(graph());
  const flat = columnsAsVectors(plain);
  const inputs = { x: values(5, 1), y: values(5, 2), m: values(15, 3), w: values(3, 4) };

  it("compute the same elements", () => {
    const [a, b] = [evaluate(plain, inputs), evaluate(flat, inputs)];
    for (const name of ["sum", "scaled", "product"]) expect([...b[name]!]).toEqual([...a[name]!]);
  });

  it("are the inputs and outputs of elementwise steps, without a reshape between", () => {
    const shapes = Object.fromEntries(flat.inputs.map(({ attrs, shape }) => [attrs.name, shape]));
    expect(shapes).toEqual({ x: [5], y: [5], m: [5, 3], w: [3] });
    const sum = flat.outputs.find(({ name }) => name === "sum")!.node;
    expect([sum.op, sum.shape]).toEqual(["add", [5]]);
    expect(sum.inputs.map(({ shape }) => shape)).toEqual([[5], [5]]);
    expect(flat.outputs.find(({ name }) => name === "product")!.node.shape).toEqual([5]);
  });

  it("leave a graph without columns as it is", () => {
    const b = createBuilder();
    const one = simplify(b.finish([{ name: "y", node: b.unary("exp", b.input("x", [5])) }]));
    expect(columnsAsVectors(one)).toBe(one);
  });
});
