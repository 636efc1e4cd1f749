/**
 * Whether two traces of one step are the same program. A step is traced twice, with different keys and at different steps; a
 * difference is a number that was computed on the host and would be a constant of the program, which is refused.
 */
import type { Attrs, Node, NumericArray } from "../ir/node.ts";
import type { Traced } from "./traced.ts";

const sameValues = (a: NumericArray, b: NumericArray): boolean =>
  a === b || (a.length === b.length && a.every((x, i) => Object.is(x, b[i])));

const sameValue = (a: Attrs["value"], b: Attrs["value"]): boolean =>
  typeof a === "object" && typeof b === "object" ? sameValues(a, b) : Object.is(a, b);

const plain = ({ value: _, ...attrs }: Attrs): string => JSON.stringify(attrs);

const SHOWN = 3;
const showValue = (value: Attrs["value"]): string =>
  typeof value === "object"
    ? `[${Array.from(value.slice(0, SHOWN), (x) => x.toPrecision(4)).join(", ")}${value.length > SHOWN ? ", …" : ""}]`
    : String(value);

/** What differs, in words; undefined when nothing does. */
export function difference(first: Traced, second: Traced): string | undefined {
  const [a, b] = [first.graph, second.graph];
  if (first.host.length !== second.host.length || a.outputs.length !== b.outputs.length)
    return "what it does depends on the step or on chance";
  const partner = new Map<Node, Node>();
  const pending: (readonly [Node, Node])[] = [];
  for (const [i, output] of a.outputs.entries()) {
    const other = b.outputs[i];
    if (other === undefined || other.name !== output.name) return "its outputs depend on the step or on chance";
    pending.push([output.node, other.node]);
  }
  let structural: string | undefined;
  for (let pair = pending.pop(); pair !== undefined; pair = pending.pop()) {
    const [x, y] = pair;
    if (partner.get(x) === y) continue;
    partner.set(x, y);
    if (x.op === "constant" && y.op === "constant" && !sameValue(x.attrs.value, y.attrs.value)) {
      const made = typeof x.attrs.value === "object" ? first.origins.get(x.attrs.value) : undefined;
      return (
        `a constant of shape [${x.shape.join(", ")}]${made === undefined ? "" : `, made in ${made},`} differs from step to step: ` +
        `${showValue(x.attrs.value)}, then ${showValue(y.attrs.value)}. Random numbers must come from a distribution and the key of the step; numbers of the host, from hostTensor`
      );
    }
    if (x.op !== y.op || x.inputs.length !== y.inputs.length || plain(x.attrs) !== plain(y.attrs)) {
      structural ??= `the ops differ from step to step: ${x.op} at first, then ${y.op}`;
      continue;
    }
    x.inputs.forEach((input, i) => {
      pending.push([input, y.inputs[i] as Node]);
    });
  }
  if (structural !== undefined) return structural;
  const moved = Object.keys(first.fixed).find(
    (name) => !sameValues(first.fixed[name] as NumericArray, second.fixed[name] ?? new Float32Array(0)),
  );
  return moved === undefined
    ? undefined
    : "a large array made in the step differs from step to step: make it with hostTensor, or take rows with plate(...).gather";
}
