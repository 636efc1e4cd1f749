/** The evaluator of a run: loss and gradients at the parameters in the run's buffer, op by op, or compiled where that is wanted and pays. */
import * as tf from "@tensorflow/tfjs-core";
import { fail } from "../../core/errors.ts";
import { scope } from "../../core/scope.ts";
import { mapTree, type TensorTree } from "../../core/tree.ts";
import type { CompileInfo, EngineChoice } from "../../engine/info.ts";
import { readInto } from "../../engine/read.ts";
import { type Layout, views } from "../optim/flat.ts";
import { disagreement, maybeCompile, tooFewSteps } from "./compile-policy.ts";
import { differentiate, type Evaluated, type LossSpec, type StepContext } from "./loss.ts";
import { compileLoss } from "./loss-program.ts";

/** Evaluates the loss and its gradients. */
export interface Evaluator {
  evaluate(context: StepContext): Evaluated | Promise<Evaluated>;
  readonly info: CompileInfo;
  dispose(): void;
}

/** What decides whether the loss is compiled. */
export interface Execution {
  readonly engine: EngineChoice;
  /** Steps of the whole run, and steps done already. */
  readonly total: number;
  readonly done: number;
  readonly threads: number | undefined;
  readonly background: boolean | undefined;
}

/** Number of parameters whose update costs as much as a step of a small model. */
const LARGE_MODEL = 20_000;

/**
 * The evaluator, compiled where that is wanted and pays; then compared with the engine op by op on the first step.
 *
 * @param first - The context of the first step.
 */
export async function evaluatorOf(
  spec: LossSpec,
  { engine, total, done, threads, background }: Execution,
  first: StepContext,
): Promise<Evaluator> {
  const eagerly = eagerEvaluation(spec);
  const { compiled, info } = await maybeCompile({
    what: spec.name,
    choice: engine,
    nothingToCompile:
      spec.layout.length === 0 ? "there are no parameters" : done >= total ? "there are no steps to do" : undefined,
    skipReason: tooFewSteps(total, 1 + spec.params.length / LARGE_MODEL),
    reference: () => ({ loss: eagerly(first).loss, grads: spec.grads.slice() }),
    compile: (native) => compileLoss(spec, { threads, background, native }, first),
    async compare({ evaluate }, { loss, grads }) {
      const found = await evaluate(first);
      return found && (disagreement("loss", [loss], [found.loss], 1) ?? disagreement("gradient", grads, spec.grads));
    },
  });
  if (compiled === undefined) return { evaluate: eagerly, info, dispose: () => undefined };
  return {
    evaluate(context) {
      // Where the compiled step fails, the step runs op by op, whose error says why.
      const orEagerly = (found: Evaluated | undefined) => found ?? eagerly(context);
      const found = compiled.evaluate(context);
      return found instanceof Promise ? found.then(orEagerly) : orEagerly(found);
    },
    info,
    dispose: compiled.dispose,
  };
}

/** Parameters as tensors, in the scope of the call, without a copy: the buffer is written only between scopes. */
export function tensorsIn(buffer: Float32Array, layout: Layout): () => TensorTree {
  const tree = views(buffer, layout);
  return () => mapTree(tree, ({ data, shape }) => tf.tensor(data, [...shape]));
}

/** Op by op. @throws `non-finite` when the loss is NaN or infinite. */
function eagerEvaluation({ name, loss, layout, params, grads }: LossSpec): (context: StepContext) => Evaluated {
  const tensors = tensorsIn(params, layout);
  return (context) =>
    scope(() => {
      const out = differentiate(name, loss, tensors(), context);
      const value = out.value.dataSync()[0] as number;
      if (!Number.isFinite(value))
        fail(
          "non-finite",
          `${name}: the loss is ${value} at step ${context.step}; lower the learning rate, set clip, or check the initial parameters`,
        );
      collect(out.grads, grads, layout);
      const { carry = context.carry, metrics } = out;
      return { loss: value, carry: typeof carry === "function" ? carry() : carry, metrics };
    });
}

/** Copies gradients into their places in the flat buffer; an absent one is zero. */
function collect(
  grads: { readonly [name: string]: tf.Tensor | undefined },
  buffer: Float32Array,
  layout: Layout,
): void {
  for (const { name, offset, size } of layout) {
    const grad = grads[name];
    if (grad === undefined) buffer.fill(0, offset, offset + size);
    else readInto(grad, buffer, offset);
  }
}
