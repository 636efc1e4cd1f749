/** Einstein sums as transpose, reshape and matrix product: tfjs has the kernel on one backend and a gradient on none. */
import * as tf from "@tensorflow/tfjs-core";
import { fail } from "../core/errors.ts";

interface Equation {
  readonly inputs: readonly string[];
  readonly output: string;
}

function parse(equation: string): Equation {
  const [left, right, ...more] = equation.replace(/\s/g, "").split("->");
  if (left === undefined || right === undefined || more.length > 0) {
    return fail("argument", `einsum("${equation}"): expected one "->", as in "ij,jk->ik"`);
  }
  const inputs = left.split(",");
  if (inputs.length > 2) {
    fail("unsupported", `einsum("${equation}"): at most two operands; write it as one product after another`);
  }
  for (const labels of [...inputs, right]) {
    if (!/^[a-zA-Z]*$/.test(labels)) fail("unsupported", `einsum("${equation}"): only letters, without "..."`);
    if (new Set(labels).size < labels.length) {
      fail(
        "unsupported",
        `einsum("${equation}"): "${labels}" repeats a label; take the diagonal first, by a mask and a sum`,
      );
    }
  }
  for (const label of right) {
    if (!left.includes(label)) fail("argument", `einsum("${equation}"): "${label}" of the output is in no operand`);
  }
  return { inputs, output: right };
}

/** The size of every label. */
function sizes(equation: string, { inputs }: Equation, operands: readonly tf.Tensor[]): Map<string, number> {
  const size = new Map<string, number>();
  inputs.forEach((labels, i) => {
    const shape = operands[i]?.shape ?? [];
    if (shape.length !== labels.length) {
      fail("shape", `einsum("${equation}"): operand ${i} is labelled "${labels}" and has shape [${shape.join(", ")}]`);
    }
    [...labels].forEach((label, axis) => {
      const known = size.get(label);
      if (known !== undefined && known !== shape[axis]) {
        fail("shape", `einsum("${equation}"): "${label}" is ${known} in one operand and ${shape[axis]} in another`);
      }
      size.set(label, shape[axis] as number);
    });
  });
  return size;
}

/** Sums out the labels that are not kept, and orders the rest. */
function arrange(x: tf.Tensor, labels: string, order: string): tf.Tensor {
  const gone = [...labels].flatMap((label, axis) => (order.includes(label) ? [] : [axis]));
  const left = [...labels].filter((label) => order.includes(label));
  const summed = gone.length > 0 ? tf.sum(x, gone) : x;
  return left.length === 0
    ? summed
    : tf.transpose(
        summed,
        [...order].map((label) => left.indexOf(label)),
      );
}

/**
 * The Einstein sum of one or two tensors, differentiable to any order.
 *
 * @throws `argument`, `shape`, or `unsupported` for three operands, repeated labels and "...".
 */
export function einsum(equation: string, ...operands: readonly tf.Tensor[]): tf.Tensor {
  const parsed = parse(equation);
  if (parsed.inputs.length !== operands.length) {
    fail("argument", `einsum("${equation}"): ${parsed.inputs.length} operands are labelled, ${operands.length} given`);
  }
  const size = sizes(equation, parsed, operands);
  const { output } = parsed;
  const [la = "", lb] = parsed.inputs;
  const [a, b] = operands as [tf.Tensor, tf.Tensor];
  if (lb === undefined) return tf.clone(arrange(a, la, output));
  const pick = (labels: string, test: (label: string) => boolean) => [...labels].filter(test).join("");
  const batch = pick(output, (l) => la.includes(l) && lb.includes(l));
  const rows = pick(output, (l) => la.includes(l) && !lb.includes(l));
  const columns = pick(output, (l) => !la.includes(l) && lb.includes(l));
  const inner = pick(la, (l) => lb.includes(l) && !output.includes(l));
  const dims = (labels: string) => [...labels].map((l) => size.get(l) as number);
  const count = (labels: string) => dims(labels).reduce((n, d) => n * d, 1);
  const left = tf.reshape(arrange(a, la, batch + rows + inner), [count(batch), count(rows), count(inner)]);
  const right = tf.reshape(arrange(b, lb, batch + inner + columns), [count(batch), count(inner), count(columns)]);
  const made = batch + rows + columns;
  return arrange(tf.reshape(tf.matMul(left, right), dims(made)), made, output);
}

/** The derivative of an Einstein sum with respect to operand `k`: again an Einstein sum, repeated along what it summed alone. */
export function einsumGradient(equation: string, operands: readonly tf.Tensor[], k: number, dy: tf.Tensor): tf.Tensor {
  const parsed = parse(equation);
  const own = parsed.inputs[k] as string;
  const other = parsed.inputs[1 - k];
  const x = operands[k] as tf.Tensor;
  const reach = [...own].filter((label) => parsed.output.includes(label) || other?.includes(label)).join("");
  const d =
    other === undefined
      ? einsum(`${parsed.output}->${reach}`, dy)
      : einsum(`${parsed.output},${other}->${reach}`, dy, operands[1 - k] as tf.Tensor);
  const shape = [...own].map((label, axis) => (reach.includes(label) ? (x.shape[axis] as number) : 1));
  return tf.mul(tf.reshape(d, shape), tf.ones(x.shape));
}
