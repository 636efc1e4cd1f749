/** Draws and weighs chunks of a proposal, op by op or compiled: then one run of model and proposal is traced for all chunks. */
import * as tf from "@tensorflow/tfjs-core";
import type { CompiledStep, Values } from "../../compiler/step.ts";
import { scope } from "../../core/scope.ts";
import { type Shape, sizeOf } from "../../core/shape.ts";
import type { Execution, SiteRecord } from "../../effects/interpret.ts";
import type { CompileInfo, EngineChoice } from "../../engine/info.ts";
import type { ModelAndGuide } from "../problem/model-and-guide.ts";
import { type WeighOptions, type WeightedRun, weigh } from "../problem/weigh.ts";
import { type Compilable, disagreement, infoOf, maybeCompile, tooLittleWork } from "../train/compile-policy.ts";
import { tracedRun } from "../train/traced-run.ts";

/** As {@link weigh}, op by op or compiled. Call it inside `scope`. */
export type Weigh = (at: WeighOptions) => WeightedRun;

/** Weighs chunks. */
export interface Weigher {
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
  /** A chunk of other rows, where there are any: what depends on the rows must not become a constant. */
  readonly other?: WeighOptions;
}

/** Particles × elements of one draw in a compiled run: intermediate results stay in the processor's caches. */
const CHUNK_ELEMENTS = 1 << 14;
/** Fewest particles of a compiled run, which repay the call, and the most elements that these may have. */
const [MIN_PARTICLES, MAX_ELEMENTS] = [64, 1 << 19];

/** Particles in one compiled run. */
export const compiledChunk = ({ modelInfo }: ModelAndGuide): number => {
  const size = Math.max(1, ...modelInfo.sites.map(({ shape }) => sizeOf(shape)));
  const least = Math.min(MIN_PARTICLES, Math.max(1, Math.floor(MAX_ELEMENTS / size)));
  return Math.max(least, Math.floor(CHUNK_ELEMENTS / size));
};

/** The weigher, compiled where that is wanted and pays. */
export async function weigherFor(pair: ModelAndGuide, choice: EngineChoice, chunks: Chunks): Promise<Weigher> {
  const eagerly: Weigh = (at) => weigh(pair, at);
  const weightsBy = (weigh: Weigh) => scope(() => weigh(chunks.first).logWeights.dataSync());
  const { compiled, info } = await maybeCompile({
    what: "snis",
    choice,
    skipReason: chunks.count < 2 ? "all draws are made at once" : undefined,
    compile: (native) => compileWeigher(pair, chunks, native),
    async compare(compiled) {
      await compiled.prepare(chunks.first);
      return disagreement("log-weight", weightsBy(eagerly), weightsBy(compiled.weigh), 1);
    },
  });
  return compiled ?? { weigh: eagerly, prepare: async () => undefined, info, dispose: () => undefined };
}

async function compileWeigher(pair: ModelAndGuide, chunks: Chunks, mustPay: boolean): Promise<Weigher & Compilable> {
  const began = performance.now();
  const { particles, first, other = first, count } = chunks;
  const run = tracedRun<WeighOptions>("snis", { ...first, particles }, other);
  let shape: RunShape | undefined;
  // Loaded when first needed: the compiler is a third of a small bundle.
  const { compileStep } = await import("../../compiler/step.ts");
  const step: CompiledStep = await compileStep({
    what: "snis",
    inputs: {},
    body() {
      const weighed = weigh(pair, run.standIn);
      shape = shapeOf(weighed);
      return outputsOf(weighed);
    },
    vary: run.vary,
    native: mustPay,
    background: pair.problem.background ?? false,
    ...(pair.problem.threads !== undefined && { threads: pair.problem.threads }),
    ...(mustPay && { skipReason: (multiplications) => tooLittleWork(multiplications * count) }),
  });
  let prepared: Values | undefined;
  return {
    info: infoOf(step, began),
    weigh(at) {
      if (at.particles !== particles) return weigh(pair, at);
      run.set(at);
      const out = step.synchronous ? (step.run({}) as Values | undefined) : prepared;
      // A check inside the model failed: op by op, the run throws its error.
      return out === undefined ? weigh(pair, at) : restored(out, shape as RunShape);
    },
    async prepare(at) {
      if (step.synchronous || at.particles !== particles) return;
      run.set(at);
      prepared = await step.run({});
    },
    dispose: () => step.dispose(),
  };
}

/** A weighted run without its values. */
interface RunShape {
  readonly sites: readonly {
    readonly record: SiteRecord;
    readonly shape: Shape;
    readonly dtype: "float32" | "int32";
  }[];
  readonly execution: Execution;
  readonly weight: Shape;
}

/** Sites whose values a run draws. */
const drawnSites = ({ sites }: Execution): SiteRecord[] =>
  [...sites.values()].filter(({ kind, value }) => value !== undefined && kind !== "observe");

const output = (site: number): string => `site ${site}`;

const outputsOf = ({ logWeights, model }: WeightedRun): { readonly [name: string]: tf.Tensor } => ({
  weight: logWeights,
  ...Object.fromEntries(drawnSites(model).map(({ value }, i) => [output(i), value as tf.Tensor])),
});

const shapeOf = ({ logWeights, model }: WeightedRun): RunShape => ({
  sites: drawnSites(model).map((site) => {
    const { shape, dtype } = site.value as tf.Tensor;
    const record = { ...site, value: undefined, logProb: undefined, dist: undefined };
    return { record, shape: [...shape], dtype: dtype === "float32" ? "float32" : "int32" };
  }),
  execution: { ...model, result: undefined, sites: new Map() },
  weight: [...logWeights.shape],
});

/** The weighted run with these outputs. */
function restored(out: Values, { sites, execution, weight }: RunShape): WeightedRun {
  const drawn = sites.map(({ record, shape, dtype }, i) => {
    const values = out[output(i)] as Float32Array | Int32Array | Uint8Array;
    const data = values instanceof Uint8Array ? Int32Array.from(values) : values;
    return [record.name, { ...record, value: tf.tensor(data, [...shape], dtype) }] as const;
  });
  return {
    logWeights: tf.tensor(out.weight as Float32Array, [...weight]),
    model: { ...execution, sites: new Map(drawn) },
  };
}
