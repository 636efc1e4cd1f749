/**
 * A training step, compiled: loss and gradients recorded once for all steps. What belongs to a step (its key, its number, the state
 * carried to it) is an input; parameters are inputs too, read where the optimiser left them.
 */
import * as tf from "@tensorflow/tfjs-core";
import type { Values } from "../../compiler/step.ts";
import { fail } from "../../core/errors.ts";
import { fold, type Key, tracedKey } from "../../core/key.ts";
import { currentTracer } from "../../core/tracing.ts";
import type { ArrayTree, TensorTree } from "../../core/tree.ts";
import type { CompileInfo, EngineChoice } from "../../engine/info.ts";
import type { Layout } from "../optim/flat.ts";
import { valueAndGradient } from "./gradient.ts";
import type { LossWithCarry, StepContext } from "./loss.ts";

/** Steps of a small model from which a run repays the recording, some hundred milliseconds. */
export const WORTH_COMPILING = 100;
/** Parameters whose updating is worth as much as a step of a small model. */
const LARGE_MODEL = 20_000;

/** One evaluation. */
export interface Evaluated {
  readonly loss: number;
  readonly carry: ArrayTree;
}

/** A compiled loss. */
export interface CompiledLoss {
  readonly info: CompileInfo & { readonly used: true };
  /**
   * Loss and gradients at the parameters in `params`, gradients into `grads`; undefined when a check inside the step failed or
   * something is not finite, so that the step must be done on the other engine, which says why.
   */
  evaluate(context: StepContext): Evaluated | undefined | Promise<Evaluated | undefined>;
  dispose(): void;
}

/** What to compile. */
export interface LossSpec {
  readonly name: string;
  readonly loss: (params: TensorTree, context: StepContext) => tf.Tensor | LossWithCarry;
  readonly layout: Layout;
  /** Where the parameters are, and where gradients go: buffers of that layout. */
  readonly params: Float32Array;
  readonly grads: Float32Array;
  readonly key: Key;
  readonly carry: ArrayTree;
  readonly threads: number | undefined;
  readonly background: boolean | undefined;
  /** Whether WebAssembly will do where the native runtime is missing. */
  readonly anyRuntime: boolean;
}

/** A context whose parts can be read only where host values are made. */
function liveContext(name: string, now: () => StepContext): StepContext {
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

/** Two steps that have nothing in common. */
const APART = [1, 1_000_003] as const;

/**
 * Records and compiles a loss with its gradients.
 *
 * @throws `trace`, `engine`: see `compileStep`.
 */
export async function compileLoss(spec: LossSpec): Promise<CompiledLoss> {
  const { name, loss, layout, params, grads, key } = spec;
  const began = performance.now();
  let now: StepContext = { key, step: 0, epoch: 0, stepInEpoch: 0, carry: spec.carry };
  const context = liveContext(name, () => now);
  const derived = new Set<string>();
  const carries: (ArrayTree | (() => ArrayTree))[] = [];
  const body = (inputs: TensorTree) => {
    const at = Object.fromEntries(layout.map((segment) => [segment.name, inputs[input(segment.name)] as tf.Tensor]));
    let next: ArrayTree | (() => ArrayTree) = () => now.carry;
    const evaluate = () => {
      const out = loss(at, context);
      if (out instanceof tf.Tensor) return out;
      next = out.carry;
      return out.loss;
    };
    const { value, grads: derivatives } = valueAndGradient(name, evaluate, at);
    if (typeof next !== "function" && Object.keys(next).length > 0)
      fail("trace", `${name}: a loss that carries state from step to step must give it as a function to be compiled`);
    carries.push(next);
    for (const [param, d] of Object.entries(derivatives)) if (d !== undefined) derived.add(param);
    const known = Object.entries(derivatives).filter(([, d]) => d !== undefined) as [string, tf.Tensor][];
    return { loss: value, ...Object.fromEntries(known.map(([param, d]) => [output(param), d])) };
  };
  // Loaded when first needed: the compiler is a third of a small bundle.
  const { compileStep } = await import("../../compiler/step.ts");
  const step = await compileStep({
    what: name,
    inputs: Object.fromEntries(layout.map(({ name, shape }) => [input(name), { shape, dtype: "float32" }])),
    body,
    vary: (state) => {
      now = { ...now, key: fold(key, `record ${state}`), step: APART[state], epoch: APART[state] };
    },
    native: !spec.anyRuntime,
    ...(spec.background && { background: true }),
    ...(spec.threads !== undefined && { threads: spec.threads }),
  });
  const feeds = Object.fromEntries(
    layout.map(({ name, offset, size }) => [input(name), params.subarray(offset, offset + size)]),
  );
  const inPlace = Object.fromEntries(
    layout
      .filter(({ name }) => derived.has(name))
      .map(({ name, offset, size }) => [output(name), grads.subarray(offset, offset + size)]),
  );
  const carry = carries[0] as ArrayTree | (() => ArrayTree);
  const take = (out: Values | undefined): Evaluated | undefined => {
    const value = out?.loss?.[0];
    if (out === undefined || value === undefined || !Number.isFinite(value)) return undefined;
    for (const { name, offset, size } of layout) {
      const grad = out[output(name)];
      if (grad === undefined) grads.fill(0, offset, offset + size);
      else if (grad.buffer !== grads.buffer) grads.set(grad, offset);
    }
    return { loss: value, carry: typeof carry === "function" ? carry() : carry };
  };
  return {
    info: {
      used: true,
      runtime: step.runtime,
      threads: step.threads,
      operations: step.size,
      compileMs: performance.now() - began,
    },
    evaluate(told) {
      now = told;
      const out = step.run(feeds, inPlace);
      return out instanceof Promise ? out.then(take) : take(out);
    },
    dispose: () => step.dispose(),
  };
}

/** Why a compilation failed. Whatever it was, a run that need not be compiled goes on without. */
export const reasonOf = (error: unknown): string => (error instanceof Error ? error.message : String(error));

/** What the loop offers to a compilation. */
export interface LoopSpec {
  readonly spec: Omit<LossSpec, "anyRuntime">;
  /** The first step on the other engine. */
  readonly check: () => Evaluated;
  /** The context of the first step. */
  readonly context: () => StepContext;
}

/** Relative difference between the engines beyond which the compiled step is not trusted: far above rounding. */
const DISAGREEMENT = 1e-2;

/**
 * Compiles a loop's loss if that is wanted and pays, and compares its first step with the other engine's.
 *
 * @remarks Whether it pays is decided by the number of steps alone, so that a run gives the same bits every time.
 */
export async function compileFor(
  choice: EngineChoice,
  total: number,
  done: number,
  { spec, check, context }: LoopSpec,
): Promise<{ readonly compiled: CompiledLoss | undefined; readonly info: CompileInfo }> {
  const without = (reason: string) => ({ compiled: undefined, info: { used: false as const, reason } });
  if (choice === "wasm" || choice === "node-gpu") return without(`the ${choice} engine was asked for`);
  if (spec.layout.length === 0) return without("there are no parameters");
  if (done >= total) return without("there are no steps to do");
  if (choice === "auto" && total * (1 + spec.params.length / LARGE_MODEL) < WORTH_COMPILING)
    return without(`${total} steps do not repay the recording; { engine: "compiled" } insists`);
  // Faults of the loss show here first, as they would without compiling.
  const wanted = check();
  const gradients = spec.grads.slice();
  let compiled: CompiledLoss | undefined;
  try {
    compiled = await compileLoss({ ...spec, anyRuntime: choice === "compiled" });
    const found = await compiled.evaluate(context());
    const differs = found === undefined ? undefined : disagreement(wanted.loss, gradients, found.loss, spec.grads);
    if (differs !== undefined)
      fail("trace", `${spec.name}: the compiled step disagrees with the wasm engine on the first step: ${differs}`);
    return { compiled, info: compiled.info };
  } catch (error) {
    compiled?.dispose();
    if (choice === "compiled") throw error;
    return without(reasonOf(error));
  }
}

function disagreement(loss: number, g: Float32Array, other: number, h: Float32Array): string | undefined {
  if (Math.abs(loss - other) > DISAGREEMENT * Math.max(1, Math.abs(loss))) return `a loss of ${other} for ${loss}`;
  let [gap, size] = [0, 0];
  for (let i = 0; i < g.length; i++) {
    gap += ((g[i] as number) - (h[i] as number)) ** 2;
    size += (g[i] as number) ** 2;
  }
  return Math.sqrt(gap) > DISAGREEMENT * Math.sqrt(size) + Number.EPSILON
    ? `gradients differ by ${Math.sqrt(gap).toExponential(2)}, of length ${Math.sqrt(size).toExponential(2)}`
    : undefined;
}
