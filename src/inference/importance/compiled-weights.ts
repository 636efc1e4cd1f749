/** Importance weights, compiled: one run of model and proposal, recorded once for all chunks of draws. */
import * as tf from "@tensorflow/tfjs-core";
import type { CompiledStep, Values } from "../../compiler/step.ts";
import { fail } from "../../core/errors.ts";
import { fold, tracedKey } from "../../core/key.ts";
import { scope } from "../../core/scope.ts";
import { type Shape, sizeOf } from "../../core/shape.ts";
import { currentTracer, currentValue } from "../../core/tracing.ts";
import type { Execution, SiteRecord } from "../../effects/interpret.ts";
import type { CompileInfo, EngineChoice } from "../../engine/info.ts";
import { type Plan, type WeighOptions, weighOnce } from "../problem/proposal.ts";
import { reasonOf } from "../train/compiled-loss.ts";

/** As {@link weighOnce}, whichever way. Call it inside `scope`. */
export type Weigh = (at: WeighOptions) => ReturnType<typeof weighOnce>;

/** A way to weigh. */
export interface Weighing {
  readonly weigh: Weigh;
  /** To be awaited before `weigh` with the same options, outside every scope. */
  prepare(at: WeighOptions): Promise<void>;
  readonly info: CompileInfo;
  dispose(): void;
}

/** What the chunks of a run have in common. */
export interface Chunks {
  /** Particles of each. */
  readonly particles: number;
  /** How many there are. */
  readonly count: number;
  /** The first of them. */
  readonly first: WeighOptions;
  /** One of other rows, where there are any: what the rows decide must not be frozen. */
  readonly other?: WeighOptions;
}

/** Particles × numbers of one draw in a compiled run: its intermediate results stay near the processor. */
const NUMBERS = 1 << 14;
/** So many particles are taken at least, for the price of a call, as long as they are not more numbers than the second. */
const [LEAST_PARTICLES, MOST_NUMBERS] = [64, 1 << 19];
/** Multiplications, some hundred milliseconds of one core, from which recording is repaid. */
const WORTH_COMPILING = 2e9;
/** Relative difference between the engines beyond which compiled weights are not trusted: far above rounding. */
const DISAGREEMENT = 1e-2;

/** Particles at once when compiled. */
export const compiledChunk = ({ structure }: Plan): number => {
  const size = Math.max(1, ...structure.sites.map(({ shape }) => sizeOf(shape)));
  const least = Math.min(LEAST_PARTICLES, Math.max(1, Math.floor(MOST_NUMBERS / size)));
  return Math.max(least, Math.floor(NUMBERS / size));
};

/** The way to weigh that is wanted and pays. */
export async function weighing(planned: Plan, choice: EngineChoice, chunks: Chunks): Promise<Weighing> {
  const eagerly: Weigh = (at) => weighOnce(planned, at);
  const without = (reason: string): Weighing => ({
    weigh: eagerly,
    prepare: async () => undefined,
    info: { used: false, reason },
    dispose: () => undefined,
  });
  if (choice === "wasm" || choice === "node-gpu") return without(`the ${choice} engine was asked for`);
  if (choice === "auto" && chunks.count < 2) return without("all draws are made at once");
  let compiled: Weighing | undefined;
  try {
    compiled = await compileWeighing(planned, chunks, choice === "auto");
    await compiled.prepare(chunks.first);
    compare(eagerly, compiled.weigh, chunks.first);
    return compiled;
  } catch (error) {
    compiled?.dispose();
    if (choice === "compiled") throw error;
    return without(reasonOf(error));
  }
}

/** What is known of a site beside its values. */
interface Recorded {
  readonly record: SiteRecord;
  readonly output: string;
  readonly shape: Shape;
  readonly dtype: "float32" | "int32";
}

async function compileWeighing(planned: Plan, chunks: Chunks, mustPay: boolean): Promise<Weighing> {
  const began = performance.now();
  const { particles, first, other = first } = chunks;
  let now: WeighOptions = first;
  const host = <T>(value: () => T): T =>
    currentTracer() === undefined ? value() : fail("trace", "snis: the words of a key are read in the model");
  const live: WeighOptions = {
    ...first,
    particles,
    key: tracedKey(() => host(() => now.key)),
    first: () => host(() => currentValue(now.first)),
    ...(first.subsample && {
      subsample: (...plate) => (now.subsample ?? host(() => fail("plate", "no rows")))(...plate),
    }),
  };
  let sites: Recorded[] = [];
  let execution: Execution | undefined;
  let weightShape: Shape = [];
  // Loaded when first needed: the compiler is a third of a small bundle.
  const { compileStep } = await import("../../compiler/step.ts");
  const step: CompiledStep = await compileStep({
    what: "snis",
    inputs: {},
    body() {
      const { logWeight, model } = weighOnce(planned, live);
      const drawn = [...model.sites.values()].filter(({ kind, value }) => value !== undefined && kind !== "observe");
      sites = drawn.map((site, i) => {
        const { shape, dtype } = site.value as tf.Tensor;
        const record = { ...site, value: undefined, logProb: undefined, dist: undefined };
        return { record, output: `site ${i}`, shape: [...shape], dtype: dtype === "float32" ? "float32" : "int32" };
      });
      execution = { ...model, result: undefined, sites: new Map() };
      weightShape = [...logWeight.shape];
      return {
        weight: logWeight,
        ...Object.fromEntries(drawn.map((site, i) => [`site ${i}`, site.value as tf.Tensor])),
      };
    },
    vary(state) {
      now = { ...(state === 0 ? first : other), key: fold(first.key, `record ${state}`), first: state * 1_000_003 };
    },
    native: mustPay,
    background: planned.problem.background ?? false,
    ...(planned.problem.threads !== undefined && { threads: planned.problem.threads }),
    ...(mustPay && {
      worth: (multiplications) =>
        multiplications * chunks.count < WORTH_COMPILING ? "the model is too small to repay the recording" : undefined,
    }),
  });
  let prepared: Values | undefined;
  const weigh: Weigh = (at) => {
    if (at.particles !== particles) return weighOnce(planned, at);
    now = at;
    const out = step.synchronous ? (step.run({}) as Values | undefined) : prepared;
    // A check inside the model failed: the other engine says which.
    if (out === undefined) return weighOnce(planned, at);
    const made = sites.map(({ record, output, shape, dtype }) => {
      const values = out[output] as Float32Array | Int32Array | Uint8Array;
      const data = values instanceof Uint8Array ? Int32Array.from(values) : values;
      return [record.name, { ...record, value: tf.tensor(data, [...shape], dtype) }] as const;
    });
    return {
      logWeight: tf.tensor(out.weight as Float32Array, [...weightShape]),
      model: { ...(execution as Execution), sites: new Map(made) },
    };
  };
  const { runtime, threads, size: operations } = step;
  const info = { used: true as const, runtime, threads, operations, compileMs: performance.now() - began };
  return {
    weigh,
    async prepare(at) {
      if (step.synchronous || at.particles !== particles) return;
      now = at;
      prepared = await step.run({});
    },
    info,
    dispose: () => step.dispose(),
  };
}

/** @throws `trace` when the weights of the first chunk differ by more than rounding. */
function compare(eager: Weigh, compiled: Weigh, first: WeighOptions): void {
  const [a, b] = [eager, compiled].map((weigh) => scope(() => weigh(first).logWeight.dataSync())) as [
    Float32Array,
    Float32Array,
  ];
  const scale = a.reduce((most, x) => (Number.isFinite(x) ? Math.max(most, Math.abs(x)) : most), 1);
  const at = a.findIndex((x, i) => !(Object.is(x, b[i]) || Math.abs(x - (b[i] as number)) <= DISAGREEMENT * scale));
  if (at >= 0)
    fail("trace", `snis: compiled weights disagree with the wasm engine on the first draws: ${b[at]} for ${a[at]}`);
}
