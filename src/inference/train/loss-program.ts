/**
 * A training step, compiled: loss and gradients, traced once for all steps. What differs between steps (key, step number, carried state) is an
 * input; parameters are inputs too, read from the optimiser's buffer.
 */
import type * as tf from "@tensorflow/tfjs-core";
import type { Values } from "../../compiler/step.ts";
import { fail } from "../../core/errors.ts";
import { fold, tracedKey } from "../../core/key.ts";
import { currentTracer } from "../../core/tracing.ts";
import type { Tree } from "../../core/tree.ts";
import type { Layout } from "../optim/flat.ts";
import { type Compilable, infoOf } from "./compile-policy.ts";
import { differentiate, type Evaluated, type LossSpec, type NextCarry, type StepContext } from "./loss.ts";

/** A compiled loss. */
export interface LossProgram extends Compilable {
  /**
   * Loss and gradients, gradients in place; undefined when a check inside the step failed or the loss is not finite: op by op, the step
   * throws the error.
   */
  evaluate(context: StepContext): Evaluated | undefined | Promise<Evaluated | undefined>;
}

/** Where the program runs. */
export interface LossRuntime {
  readonly threads: number | undefined;
  readonly background: boolean | undefined;
  /** Only the native runtime will do, not WebAssembly. */
  readonly native: boolean;
}

/** A context whose fields can be read only while host values are made. */
function tracedContext(name: string, now: () => StepContext): StepContext {
  const read = <T>(what: string, value: (context: StepContext) => T): T =>
    currentTracer() === undefined
      ? value(now())
      : fail(
          "trace",
          `${name}: the loss reads ${what}, which would be frozen in a compiled step; use it inside hostTensor(() => …), or run with { engine: "wasm" }`,
        );
  return {
    key: tracedKey(() => read("the words of its key", ({ key }) => key)),
    get step() {
      return read("context.step", ({ step }) => step);
    },
    get epoch() {
      return read("context.epoch", ({ epoch }) => epoch);
    },
    get stepInEpoch() {
      return read("context.stepInEpoch", ({ stepInEpoch }) => stepInEpoch);
    },
    get carry() {
      return read("context.carry", ({ carry }) => carry);
    },
  };
}

const input = (name: string): string => `param ${name}`;
const output = (name: string): string => `gradient ${name}`;

/** Step numbers of the two traces that are compared: far apart, so that no value of a step is the same in both. */
const UNRELATED_STEPS = [1, 1_000_003] as const;

/**
 * Traces and compiles a loss with its gradients.
 *
 * @param first - The context of the first step.
 * @throws `trace`, `engine`: see `compileStep`.
 */
export async function compileLoss(spec: LossSpec, runtime: LossRuntime, first: StepContext): Promise<LossProgram> {
  const { name, loss, layout, params } = spec;
  const began = performance.now();
  let now = first;
  const context = tracedContext(name, () => now);
  let traced: TracedLoss | undefined;
  // Loaded when first needed: the compiler is a third of a small bundle.
  const { compileStep } = await import("../../compiler/step.ts");
  const step = await compileStep({
    what: name,
    inputs: Object.fromEntries(layout.map(({ name, shape }) => [input(name), { shape, dtype: "float32" }])),
    body(inputs) {
      const at = Object.fromEntries(layout.map(({ name }) => [name, inputs[input(name)] as tf.Tensor]));
      const { value, grads, carry = () => now.carry, metrics } = differentiate(name, loss, at, context);
      if (typeof carry === "object" && Object.keys(carry).length > 0)
        fail("trace", `${name}: a loss that carries state from step to step must give it as a function to be compiled`);
      const derived = Object.entries(grads).filter(([, grad]) => grad !== undefined) as [string, tf.Tensor][];
      traced ??= { derived: new Set(derived.map(([param]) => param)), carry, metrics };
      return { loss: value, ...Object.fromEntries(derived.map(([param, grad]) => [output(param), grad])) };
    },
    vary: (state) => {
      now = {
        ...first,
        key: fold(first.key, `record ${state}`),
        step: UNRELATED_STEPS[state],
        epoch: UNRELATED_STEPS[state],
      };
    },
    native: runtime.native,
    ...(runtime.background && { background: true }),
    ...(runtime.threads !== undefined && { threads: runtime.threads }),
  });
  const feeds = partsOf(params, layout, input);
  const { inPlace, take } = outputsOf(spec, traced as unknown as TracedLoss);
  return {
    info: infoOf(step, began),
    evaluate(context) {
      now = context;
      const out = step.run(feeds, inPlace);
      return out instanceof Promise ? out.then(take) : take(out);
    },
    dispose: () => step.dispose(),
  };
}

/** What a trace yields besides its graph. */
interface TracedLoss {
  /** Parameters on which the loss depends. */
  readonly derived: ReadonlySet<string>;
  readonly carry: NextCarry;
  /** Written after every run. */
  readonly metrics: Tree<number>;
}

/** Parts of a buffer by the name that the program has for them. */
const partsOf = (buffer: Float32Array, layout: Layout, nameOf: (name: string) => string): Values =>
  Object.fromEntries(layout.map(({ name, offset, size }) => [nameOf(name), buffer.subarray(offset, offset + size)]));

/** Where gradients are written, and how the outputs of a run are read. */
function outputsOf({ layout, grads }: LossSpec, { derived, carry, metrics }: TracedLoss) {
  const inPlace = partsOf(
    grads,
    layout.filter(({ name }) => derived.has(name)),
    output,
  );
  const take = (out: Values | undefined): Evaluated | undefined => {
    const loss = out?.loss?.[0];
    if (out === undefined || loss === undefined || !Number.isFinite(loss)) return undefined;
    for (const { name, offset, size } of layout) {
      const grad = out[output(name)];
      if (grad === undefined) grads.fill(0, offset, offset + size);
      else if (grad.buffer !== grads.buffer) grads.set(grad, offset);
    }
    return { loss, carry: typeof carry === "function" ? carry() : carry, metrics: { ...metrics } };
  };
  return { inPlace, take };
}
