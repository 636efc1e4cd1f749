/** The density that Langevin chains climb, compiled: log p and its gradient at positions, recorded once for all steps. */
import * as tf from "@tensorflow/tfjs-core";
import type { Values } from "../../compiler/step.ts";
import { sizeOf } from "../../core/shape.ts";
import type { CompileInfo } from "../../engine/info.ts";
import type { Problem } from "../method/infer.ts";
import { reasonOf, tooFewSteps } from "../train/compile-policy.ts";
import { blockLength, blockSize, partSize, startsOf } from "./block-size.ts";
import { blockSpec, blocksOf, GRADIENT, type LangevinBlocks, POSITION } from "./langevin-block.ts";
import { evaluateLangevin, type LangevinKernel, type LangevinState } from "./langevin-kernel.ts";
import { blockProgram, compareStates, type ExecutionOptions, partKernel, type ShardPlan } from "./shards.ts";

/** A kernel, compiled or as it was. */
export interface CompiledKernel {
  readonly kernel: LangevinKernel;
  /** Many steps in one call, where that pays. */
  readonly blocks?: LangevinBlocks;
  readonly info: CompileInfo;
  dispose(): void;
}

/** What the compiled density is for. */
export interface KernelUse {
  /** Evaluations to come. */
  readonly steps: number;
  /** Where the chains start. */
  readonly start: readonly Float32Array[];
  /** Steps of constant size with nothing between them may be made many at a time: how many there are, and the sites, whose names key their noise. */
  readonly repeated?: { readonly steps: number; readonly sites: readonly string[] };
  /** The kernel of another number of chains. */
  readonly kernelOf?: (chains: number) => LangevinKernel;
}

/**
 * Compiles a kernel if that is wanted and pays, and compares it with the other engine at the start.
 *
 * @throws Under `compiled`: `trace`, `engine`, as `compileStep` does.
 */
export async function compileKernel(
  kernel: LangevinKernel,
  { choice, threads, background = false }: Pick<Problem, "choice" | "threads" | "background">,
  use: KernelUse,
): Promise<CompiledKernel> {
  const { steps, start } = use;
  const without = (reason: string): CompiledKernel => ({
    kernel,
    info: { used: false, reason },
    dispose: () => undefined,
  });
  if (choice === "wasm" || choice === "node-gpu") return without(`the ${choice} engine was asked for`);
  const notWorth = tooFewSteps(steps);
  if (choice === "auto" && notWorth !== undefined) return without(notWorth);
  const wanted = evaluateLangevin(kernel, start);
  let compiled: Awaited<ReturnType<typeof compileDensity>> | undefined;
  try {
    const where = { threads, background, native: choice === "auto" };
    compiled = await compileDensity(kernel, where, use.kernelOf, wanted);
    compareStates("the compiled density disagrees with the wasm engine", wanted, await compiled.evaluate(start));
    return await withBlocks(compiled, kernel, use, where, wanted);
  } catch (error) {
    compiled?.dispose();
    if (choice === "compiled") throw error;
    return without(reasonOf(error));
  }
}

/** The same with many steps a call. */
async function withBlocks(
  { multiplications, elements, ...single }: Awaited<ReturnType<typeof compileDensity>>,
  kernel: LangevinKernel,
  { repeated, kernelOf }: KernelUse,
  where: ExecutionOptions,
  start: LangevinState,
): Promise<CompiledKernel> {
  const chains = kernel.shapes[0]?.[0] as number;
  const noise = blockSpec(kernel).noise;
  const size = kernelOf === undefined ? chains : blockSize(chains, noise / chains, elements / chains);
  const length = blockLength(noise, multiplications, size / chains);
  if (length === undefined || repeated === undefined || repeated.steps < length) return single;
  const began = performance.now();
  const parting: ShardPlan = { multiplications, elements, steps: repeated.steps, start, kernelOf };
  const program = await blockProgram(kernel, { size, length }, where, parting);
  const shards = program.lanes;
  const blocks = blocksOf(kernel, repeated.sites, length, program);
  return {
    ...single,
    blocks,
    info: {
      ...single.info,
      stepsPerCall: length,
      ...(shards > 1 && { shards, threads: shards }),
      compileMs: single.info.compileMs + performance.now() - began,
    },
    dispose() {
      blocks.end();
      single.dispose();
      program.dispose();
    },
  };
}

async function compileDensity(
  kernel: LangevinKernel,
  where: ExecutionOptions,
  kernelOf: KernelUse["kernelOf"],
  start: LangevinState,
) {
  const began = performance.now();
  const { shapes } = kernel;
  const chains = shapes[0]?.[0] as number;
  const all = await recordDensity(kernel, where);
  const wanted = partSize(chains, all.elements / chains);
  const part = partKernel(kernel, wanted, kernelOf, start);
  const size = part === undefined ? chains : wanted;
  const step =
    part === undefined || part === kernel ? all : await recordDensity(part, where).finally(() => all.dispose());
  const starts = startsOf(chains, size);
  const inner = shapes.map((shape) => sizeOf(shape.slice(1)));

  /** A state to be filled, and how to fill a part of it; where a check inside the model fails, the other engine says which. */
  const begin = (positions: readonly Float32Array[]) => {
    const state: LangevinState = {
      positions,
      gradients: shapes.map((shape) => new Float32Array(sizeOf(shape))),
      logDensity: new Float32Array(chains),
    };
    const cut = (array: Float32Array, start: number, each: number) =>
      array.subarray(start * each, (start + size) * each);
    const run = (start: number) => {
      const into: Values = {
        density: cut(state.logDensity, start, 1),
        ...Object.fromEntries(
          inner.map((each, i) => [GRADIENT(i), cut(state.gradients[i] as Float32Array, start, each)]),
        ),
      };
      const inputs = inner.map((each, i) => [POSITION(i), cut(positions[i] as Float32Array, start, each)]);
      const take = (out: Values | undefined): boolean => {
        for (const [name, place] of Object.entries(out === undefined ? {} : into))
          if (out?.[name] !== place) (place as Float32Array).set(out?.[name] as Float32Array);
        return out !== undefined;
      };
      const out = step.run(Object.fromEntries(inputs), into);
      return out instanceof Promise ? out.then(take) : take(out);
    };
    return { state, run };
  };
  const evaluateLater = async (positions: readonly Float32Array[]): Promise<LangevinState> => {
    const { state, run } = begin(positions);
    for (const start of starts) if (!(await run(start))) return evaluateLangevin(kernel, positions);
    return state;
  };
  const evaluate = (positions: readonly Float32Array[]): LangevinState => {
    const { state, run } = begin(positions);
    return starts.every(run) ? state : evaluateLangevin(kernel, positions);
  };
  return {
    evaluate: evaluateLater,
    multiplications: all.multiplications,
    elements: all.elements,
    kernel: step.synchronous ? { ...kernel, evaluate } : { ...kernel, evaluateLater },
    info: {
      used: true as const,
      runtime: step.runtime,
      threads: step.threads,
      operations: step.size,
      compileMs: performance.now() - began,
    },
    dispose: () => step.dispose(),
  };
}

/** Density and gradient as a compiled step. */
async function recordDensity({ shapes, logDensity }: LangevinKernel, { threads, ...where }: ExecutionOptions) {
  // Loaded when first needed: the compiler is a third of a small bundle.
  const { compileStep } = await import("../../compiler/step.ts");
  return compileStep({
    what: "langevin",
    inputs: Object.fromEntries(shapes.map((shape, i) => [POSITION(i), { shape, dtype: "float32" }])),
    body(inputs) {
      const at = shapes.map((_, i) => inputs[POSITION(i)] as tf.Tensor);
      const chains = shapes[0]?.[0] as number;
      const { value, grads } = tf.valueAndGrads((...xs: tf.Tensor[]) => logDensity(xs) as tf.Scalar)(
        at,
        tf.ones([chains]) as tf.Scalar,
      );
      return { density: value, ...Object.fromEntries(grads.map((g, i) => [GRADIENT(i), g])) };
    },
    // A density has no randomness and no steps: two records of it are alike, or it is none.
    vary: () => undefined,
    ...where,
    ...(threads !== undefined && { threads }),
  });
}
