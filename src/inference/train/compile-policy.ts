/**
 * The one policy of compiled loops. Counts decide whether to compile. A compiled program is compared with the engine op by op on its first
 * evaluation. If anything goes wrong, a run that need not be compiled continues op by op.
 */
import type { CompiledStep } from "../../compiler/step.ts";
import { fail } from "../../core/errors.ts";
import type { CompileInfo, EngineChoice } from "../../engine/info.ts";

/** How something was compiled. */
export type CompiledInfo = CompileInfo & { readonly used: true };

/** Something compiled. */
export interface Compilable {
  readonly info: CompiledInfo;
  dispose(): void;
}

/** What to compile, and reasons not to. `R` is the result of the first evaluation op by op. */
export interface CompileSpec<C extends Compilable, R = undefined> {
  /** The caller's name, for messages. */
  readonly what: string;
  readonly choice: EngineChoice;
  /** Why there is nothing to compile, also under `compiled`. */
  readonly nothingToCompile?: string | undefined;
  /** Why compiling does not pay, by counts alone, so that a run gives the same bits every time. Only for `auto`. */
  readonly skipReason: string | undefined;
  /** The first evaluation op by op, before compiling: its errors are thrown, as they would be without compiling. */
  reference?(): R;
  /** Traces and compiles. `native`: only the native runtime will do, not WebAssembly. */
  compile(native: boolean): Promise<C>;
  /** How the first evaluation differs from the one op by op, see {@link disagreement}; undefined when it does not. */
  compare(compiled: C, reference: R): string | undefined | Promise<string | undefined>;
}

/**
 * Compiles if the caller wants it and it pays.
 *
 * @throws Under `compiled`: `trace`, `engine`, as `compileStep` does; `trace` when the two engines disagree.
 */
export async function maybeCompile<C extends Compilable, R = undefined>(
  spec: CompileSpec<C, R>,
): Promise<{ readonly compiled: C | undefined; readonly info: CompileInfo }> {
  const { what, choice, nothingToCompile, skipReason } = spec;
  const without = (reason: string) => ({ compiled: undefined, info: { used: false as const, reason } });
  if (choice === "wasm" || choice === "node-gpu") return without(`the ${choice} engine was asked for`);
  if (nothingToCompile !== undefined) return without(nothingToCompile);
  if (choice === "auto" && skipReason !== undefined) return without(skipReason);
  const reference = spec.reference?.() as R;
  let compiled: C | undefined;
  try {
    compiled = await spec.compile(choice === "auto");
    const differs = await spec.compare(compiled, reference);
    if (differs !== undefined)
      fail("trace", `${what}: the compiled program disagrees with the wasm engine at the start: ${differs}`);
    return { compiled, info: compiled.info };
  } catch (error) {
    compiled?.dispose();
    if (choice === "compiled") throw error;
    return without(reasonOf(error));
  }
}

/** Why a compilation failed. */
export const reasonOf = (error: unknown): string => (error instanceof Error ? error.message : String(error));

/** Evaluations of a small model from which tracing and compiling, some hundred milliseconds, pay off. */
const MIN_STEPS = 100;
/** Multiplications from which they pay off: some hundred milliseconds of one core. */
const MIN_MULTIPLICATIONS = 2e9;

/**
 * Why this number of evaluations does not repay compiling; undefined when it does.
 *
 * @param size - Cost of one evaluation, in evaluations of a small model.
 */
export const tooFewSteps = (steps: number, size = 1): string | undefined =>
  steps * size < MIN_STEPS ? `${steps} steps do not repay compiling; { engine: "compiled" } insists` : undefined;

/** Why this number of multiplications, over all runs, does not repay compiling; undefined when it does. */
export const tooLittleWork = (multiplications: number): string | undefined =>
  multiplications < MIN_MULTIPLICATIONS ? "the model is too small to repay compiling" : undefined;

/** How a step was compiled; `began` is the `performance.now()` at which tracing began. */
export const infoOf = ({ runtime, threads, size }: CompiledStep, began: number): CompiledInfo => ({
  used: true,
  runtime,
  threads,
  operations: size,
  compileMs: performance.now() - began,
});

/** Relative difference between two engines beyond which the second is not trusted: far above rounding. */
const DISAGREEMENT = 1e-2;

/**
 * Where `found` differs from `wanted` by more than rounding can do, relative to the largest finite number of `wanted`, or to `least` where
 * that is more. What is not finite must be the same.
 *
 * @param least - 1 for log-densities and losses, of which only differences mean anything; 0 for gradients.
 */
export function disagreement(
  name: string,
  wanted: ArrayLike<number>,
  found: ArrayLike<number>,
  least = 0,
): string | undefined {
  let scale = least;
  for (let i = 0; i < wanted.length; i++) {
    const size = Math.abs(wanted[i] as number);
    if (Number.isFinite(size) && size > scale) scale = size;
  }
  const most = DISAGREEMENT * scale + Number.EPSILON;
  for (let i = 0; i < wanted.length; i++) {
    const [a, b] = [wanted[i] as number, found[i] as number];
    if (!(Object.is(a, b) || Math.abs(a - b) <= most)) return `${name} ${b} for ${a}`;
  }
  return undefined;
}
