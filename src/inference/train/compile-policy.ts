/**
 * The one policy of compiled loops: whether to compile is decided by counts, what was compiled is compared with the engine op by op on its
 * first evaluation, and whatever goes wrong a run that need not be compiled goes on without.
 */
import { fail } from "../../core/errors.ts";
import type { CompileInfo, EngineChoice } from "../../engine/info.ts";

/** Something compiled. */
export interface Compilable {
  readonly info: CompileInfo & { readonly used: true };
  dispose(): void;
}

/** What to compile, and what speaks against it. */
export interface CompileSpec<C extends Compilable> {
  /** Who asks, for messages. */
  readonly what: string;
  readonly choice: EngineChoice;
  /** Why it does not pay, by counts alone, so that a run gives the same bits every time. Heeded under `auto`. */
  readonly notWorth: string | undefined;
  /** Records and compiles. `native`: WebAssembly will not do where the native runtime is missing. */
  compile(native: boolean): Promise<C>;
  /** How the first evaluation differs from that of the engine op by op, see {@link disagreement}; undefined when it does not. */
  compare(compiled: C): string | undefined | Promise<string | undefined>;
}

/**
 * Compiles if that is wanted and pays.
 *
 * @throws Under `compiled`: `trace`, `engine`, as `compileStep` does; `trace` when the two engines disagree.
 */
export async function compileIfWorth<C extends Compilable>({
  what,
  choice,
  notWorth,
  compile,
  compare,
}: CompileSpec<C>): Promise<{ readonly compiled: C | undefined; readonly info: CompileInfo }> {
  const without = (reason: string) => ({ compiled: undefined, info: { used: false as const, reason } });
  if (choice === "wasm" || choice === "node-gpu") return without(`the ${choice} engine was asked for`);
  if (choice === "auto" && notWorth !== undefined) return without(notWorth);
  let compiled: C | undefined;
  try {
    compiled = await compile(choice === "auto");
    const differs = await compare(compiled);
    if (differs !== undefined)
      fail("trace", `${what}: the compiled program disagrees with the wasm engine at the start: ${differs}`);
    return { compiled, info: compiled.info };
  } catch (error) {
    compiled?.dispose();
    if (choice === "compiled") throw error;
    return without(error instanceof Error ? error.message : String(error));
  }
}

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
