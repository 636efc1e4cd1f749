/** The estimate of a bound, compiled: log-weights of one chunk of rows, recorded once for all chunks, parameters as inputs. */
import type * as tf from "@tensorflow/tfjs-core";
import type { Values } from "../../compiler/step.ts";
import { fail } from "../../core/errors.ts";
import { fold, tracedKey } from "../../core/key.ts";
import { scope } from "../../core/scope.ts";
import { currentTracer, currentValue } from "../../core/tracing.ts";
import { mapTree } from "../../core/tree.ts";
import type { Problem } from "../method/infer.ts";
import { weigh } from "../problem/log-weights.ts";
import type { ModelAndGuide } from "../problem/match-guide.ts";
import { type BoundPart, type BoundParts, eagerPart } from "./estimate-bound.ts";

/** Log-weights of a part, where they can be had so. */
export interface CompiledBound {
  weights(part: BoundPart): Float32Array | undefined;
  dispose(): void;
}

/** Multiplications, some hundred milliseconds of one core, from which recording is repaid. */
const WORTH_COMPILING = 2e9;
/** Relative difference between the engines beyond which compiled weights are not trusted: far above rounding. */
const DISAGREEMENT = 1e-2;

const NONE: CompiledBound = { weights: () => undefined, dispose: () => undefined };

/**
 * Compiles the weighing of a pair where that pays; what cannot be compiled is simply done op by op.
 *
 * @param repeats - How often the bound will be estimated.
 */
export async function compileBound(
  pair: ModelAndGuide,
  { choice, threads }: Pick<Problem, "choice" | "threads">,
  parts: BoundParts,
  repeats: number,
): Promise<CompiledBound> {
  const runs = parts.count * repeats;
  if (choice === "wasm" || choice === "node-gpu" || runs < 2) return NONE;
  try {
    return await compileParts(pair, threads, parts, runs);
  } catch {
    return NONE;
  }
}

async function compileParts(
  pair: ModelAndGuide,
  threads: number | undefined,
  { first, other, closed }: BoundParts,
  runs: number,
): Promise<CompiledBound> {
  type At = Omit<BoundPart, "params">;
  let now: At = first;
  const host = <T>(value: (at: At) => T): T =>
    currentTracer() === undefined ? value(now) : fail("trace", "bound: the words of a key are read in a model");
  const names = Object.keys(pair.params);
  const { compileStep } = await import("../../compiler/step.ts");
  const step = await compileStep({
    what: "bound",
    inputs: mapTree(pair.params, ({ shape }) => ({ shape, dtype: "float32" as const })),
    body: (params) => ({
      weights: weigh(pair, {
        params: params as { readonly [name: string]: tf.Tensor },
        closed,
        particles: first.particles,
        key: tracedKey(() => host(({ key }) => key)),
        subsample: (...plate) => now.subsample(...plate),
        first: () => host((at) => currentValue(at.first)),
      }).logWeights,
    }),
    vary(state) {
      now = { ...(state === 0 ? first : other), key: fold(first.key, `record ${state}`), first: state * 1_000_003 };
    },
    native: true,
    worth: (multiplications) =>
      multiplications * runs < WORTH_COMPILING ? "the bound is too small to repay the recording" : undefined,
    ...(threads !== undefined && { threads }),
  });
  let trusted: boolean | undefined;
  const run = (part: BoundPart): Float32Array | undefined => {
    now = part;
    const feeds = Object.fromEntries(names.map((name) => [name, (part.params[name] as tf.Tensor).dataSync()]));
    return (step.run(feeds as Values) as Values | undefined)?.weights as Float32Array | undefined;
  };
  return {
    weights(part) {
      if (trusted === false || part.particles !== first.particles || part.rows !== first.rows) return undefined;
      const found = run(part);
      if (trusted === undefined && found !== undefined)
        trusted = agree(
          scope(() => eagerPart(pair, part)),
          found,
        );
      return trusted === false ? undefined : found;
    },
    dispose: () => step.dispose(),
  };
}

function agree(a: Float32Array, b: Float32Array): boolean {
  const scale = a.reduce((most, x) => (Number.isFinite(x) ? Math.max(most, Math.abs(x)) : most), 1);
  return a.every((x, i) => Object.is(x, b[i]) || Math.abs(x - (b[i] as number)) <= DISAGREEMENT * scale);
}
