/** The density that Langevin chains climb, compiled: log p and its gradient at positions, recorded once for all steps. */
import * as tf from "@tensorflow/tfjs-core";
import type { Values } from "../engine/compile/step.ts";
import type { CompileInfo } from "../engine/info.ts";
import { reasonOf, WORTH_COMPILING } from "./compiled-loss.ts";
import type { Problem } from "./infer.ts";
import { blockLength, blockSpec, blocksOf, type LangevinBlocks } from "./langevin-block.ts";
import { evaluateLangevin, type LangevinKernel, type LangevinState } from "./langevin-kernel.ts";
import { blockProgram, compareStates, type Parting, type Where } from "./langevin-parts.ts";

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
  if (choice === "auto" && steps < WORTH_COMPILING)
    return without(`${steps} steps do not repay the recording; { engine: "compiled" } insists`);
  const wanted = evaluateLangevin(kernel, start);
  let compiled: Awaited<ReturnType<typeof compileDensity>> | undefined;
  try {
    const where = { threads, background, native: choice === "auto" };
    compiled = await compileDensity(kernel, where);
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
  where: Where,
  start: LangevinState,
): Promise<CompiledKernel> {
  const length = blockLength(blockSpec(kernel).noise, multiplications);
  if (length === undefined || repeated === undefined || repeated.steps < length) return single;
  const began = performance.now();
  const parting: Parting = { multiplications, elements, steps: repeated.steps, start, kernelOf };
  const program = await blockProgram(kernel, length, where, parting);
  const shards = program.starts.length;
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

async function compileDensity(kernel: LangevinKernel, { threads, ...where }: Where) {
  const began = performance.now();
  const { shapes, logDensity } = kernel;
  // Loaded when first needed: the compiler is a third of a small bundle.
  const { compileStep } = await import("../engine/compile/step.ts");
  const step = await compileStep({
    what: "langevin",
    inputs: Object.fromEntries(shapes.map((shape, i) => [`position ${i}`, { shape, dtype: "float32" }])),
    body(inputs) {
      const at = shapes.map((_, i) => inputs[`position ${i}`] as tf.Tensor);
      const chains = shapes[0]?.[0] as number;
      const { value, grads } = tf.valueAndGrads((...xs: tf.Tensor[]) => logDensity(xs) as tf.Scalar)(
        at,
        tf.ones([chains]) as tf.Scalar,
      );
      return { density: value, ...Object.fromEntries(grads.map((g, i) => [`gradient ${i}`, g])) };
    },
    // A density has no randomness and no steps: two records of it are alike, or it is none.
    vary: () => undefined,
    ...where,
    ...(threads !== undefined && { threads }),
  });
  const stateOf = (positions: readonly Float32Array[], out: Values | undefined): LangevinState =>
    // A check inside the model failed: the other engine says which.
    out === undefined
      ? evaluateLangevin(kernel, positions)
      : {
          positions,
          gradients: shapes.map((_, i) => out[`gradient ${i}`] as Float32Array),
          logDensity: out.density as Float32Array,
        };
  const run = (positions: readonly Float32Array[]) =>
    step.run(Object.fromEntries(positions.map((x, i) => [`position ${i}`, x])));
  const evaluateLater = async (positions: readonly Float32Array[]) => stateOf(positions, await run(positions));
  const evaluate = (positions: readonly Float32Array[]) => stateOf(positions, run(positions) as Values | undefined);
  return {
    evaluate: evaluateLater,
    multiplications: step.multiplications,
    elements: step.elements,
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
