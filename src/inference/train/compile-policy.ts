/**
 * The one policy of compiled loops: whether to compile is decided by counts, what was compiled is compared with the engine op by op on its
 * first evaluation, and whatever goes wrong a run that need not be compiled goes on without.
 */
import type { CompiledStep } from "../../compiler/step.ts";
import { fail } from "../../core/errors.ts";
import type { CompileInfo, EngineChoice } from "../../engine/info.ts";

/** What became of something compiled. */
export type CompiledInfo = CompileInfo & { readonly used: true };

/** Something compiled. */
export interface Compilable {
  readonly info: CompiledInfo;
  dispose(): void;
}

/** What to compile, and what speaks against it. `R` is what the engine op by op gave on the first evaluation. */
export interface CompileSpec<C extends Compilable, R = undefined> {
  /** Who asks, for messages. */
  readonly what: string;
  readonly choice: EngineChoice;
  /** Why there is nothing to compile, also where it is insisted on. */
  readonly needless?: string | undefined;
  /** Why it does not pay, by counts alone, so that a run gives the same bits every time. Heeded under `auto`. */
  readonly notWorth: string | undefined;
  /** The first evaluation op by op, where it is to come before compiling: what it throws is thrown, as it would be without. */
  reference?(): R;
  /** Records and compiles. `native`: WebAssembly will not do where the native runtime is missing. */
  compile(native: boolean): Promise<C>;
  /** How the first evaluation differs from that of the engine op by op, see {@link disagreement}; undefined when it does not. */
  compare(compiled: C, reference: R): string | undefined | Promise<string | undefined>;
}

/**
 * Compiles if that is wanted and pays.
 *
 * @throws Under `compiled`: `trace`, `engine`, as `compileStep` does; `trace` when the two engines disagree.
 */
export async function compileIfWorth<C extends Compilable, R = undefined>(
  spec: CompileSpec<C, R>,
): Promise<{ readonly compiled: C | undefined; readonly info: CompileInfo }> {
  const { what, choice, needless, notWorth } = spec;
  const without = (reason: string) => ({ compiled: undefined, info: { used: false as const, reason } });
  if (choice === "wasm" || choice === "node-gpu") return without(`the ${choice} engine was asked for`);
  if (needless !== undefined) return without(needless);
  if (choice === "auto" && notWorth !== undefined) return without(notWorth);
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

/** Evaluations of a small model that repay the recording, some hundred milliseconds. */
const WORTH_STEPS = 100;
/** Multiplications that repay it: some hundred milliseconds of one core. */
const WORTH_MULTIPLICATIONS = 2e9;

/**
 * Why so many evaluations do not repay the recording; undefined when they do.
 *
 * @param size - What one of them is worth, in evaluations of a small model.
 */
export const tooFewSteps = (steps: number, size = 1): string | undefined =>
  steps * size < WORTH_STEPS ? `${steps} steps do not repay the recording; { engine: "compiled" } insists` : undefined;

/** Why so many multiplications, over all runs, do not repay the recording; undefined when they do. */
export const tooLittleWork = (multiplications: number): string | undefined =>
  multiplications < WORTH_MULTIPLICATIONS ? "the model is too small to repay the recording" : undefined;

/** What became of a compiled step, whose recording began at this time of `performance.now()`. */
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
