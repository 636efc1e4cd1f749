/** A graph as text, one line a node: `%7: f32[128,2] = matmul(%3, %5^T)`. */
import { type Attrs, type DType, type Graph, type Node, type NumericArray, textOf } from "./node.ts";

const shortType: Record<DType, string> = { float32: "f32", int32: "i32", bool: "bool" };
/** Elements of a constant that are printed. */
const shown = 4;

const valueText = (value: number | NumericArray): string =>
  typeof value === "number"
    ? String(value)
    : `{${Array.from(value.subarray(0, shown), (x) => Number(x.toPrecision(6))).join(", ")}${value.length > shown ? ", …" : ""}}`;

const plain = (v: unknown): string => (Array.isArray(v) ? `[${v.map(plain).join(",")}]` : String(v));

function attrsText(node: Node): string[] {
  // The type is at the left already; transposed operands are marked at the operand.
  const hidden: (keyof Attrs)[] = ["shape", "dtype", "transposeA", "transposeB", "value", "name"];
  return Object.entries(node.attrs)
    .filter(([k, v]) => !hidden.includes(k as keyof Attrs) && v !== undefined && v !== false)
    .map(([k, v]) => `${k}=${plain(v)}`);
}

/** The printable form, with nodes numbered from zero in order of evaluation. */
export function show(graph: Graph): string {
  const at = new Map(graph.nodes.map((node, i) => [node, `%${i}`]));
  const line = (node: Node): string => {
    const { name, value, transposeA, transposeB } = node.attrs;
    const flags = [transposeA, transposeB];
    const operands = node.inputs.map((x, i) => `${at.get(x)}${flags[i] ? "^T" : ""}`);
    const args = [
      ...(name === undefined ? [] : [JSON.stringify(name)]),
      ...operands,
      ...(value === undefined ? [] : [valueText(value)]),
      ...attrsText(node),
    ];
    return `${at.get(node)}: ${shortType[node.dtype]}${textOf(node.shape)} = ${node.op}(${args.join(", ")})`;
  };
  return [...graph.nodes.map(line), ...graph.outputs.map((o) => `${o.name} = ${at.get(o.node)}`)].join("\n");
}
