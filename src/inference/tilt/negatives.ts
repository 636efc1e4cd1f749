/** Sources of negatives, draws of p_E for a tilt's gradient: the interface, and the simplest source, weighted fresh draws of the base. */
import type { NdArray } from "../../core/array.ts";
import { checkWhole } from "../../core/check.ts";
import { fold } from "../../core/key.ts";
import { scope } from "../../core/scope.ts";
import { type Tree, toTensors } from "../../core/tree.ts";
import type { Effect, Model } from "../../effects/effects.ts";
import { interpret } from "../../effects/interpret.ts";
import { unscored } from "../../effects/run-handlers.ts";
import { exportSite } from "../../effects/site-value.ts";
import type { DriftReport } from "../mcmc/pseudo-marginal.ts";
import type { Problem } from "../method/infer.ts";
import { inspectModel } from "../problem/inspect-model.ts";

/** Draws of the base's sites for one step, `[n, ...event]`. */
export type NegativeDraws = Tree<NdArray>;

/** Statistics of chains since the last check. */
export interface NegativeInfo {
  readonly acceptance?: number;
  readonly stepSize?: number;
  /** Share of the jumps to base draws that were accepted. */
  readonly jumpAcceptance?: number;
  /** Share of the buffer's chains that were drawn afresh. */
  readonly fresh?: number;
  readonly nonFinite?: number;
  /** The drift that chains followed, where it was an estimate. */
  readonly drift?: DriftReport;
  /** Why they may not be draws of the tilted model. */
  readonly warnings?: readonly string[];
}

/** A running source of negatives. */
export interface NegativeSource {
  readonly count: number;
  next(step: number): Promise<NegativeDraws>;
  info(): NegativeInfo;
  /** Draws in the buffer, at most `n` rows; `undefined` without a buffer. */
  buffered(n: number): NegativeDraws | undefined;
  dispose(): void;
}

/** What a source starts from. */
export interface NegativeSetting {
  /** The base, with parameters that follow the training. */
  readonly problem: Problem;
  /** The tilted model in the coordinates that chains sample in, with the same parameters. */
  readonly tilted: Problem["model"];
  readonly steps: number;
}

/** Negatives, as a value. */
export interface Negatives {
  readonly name: string;
  /** `weighted`: draws of the base, weighed by e^{−E}. `unweighted`: draws of the tilted model. */
  readonly kind: "weighted" | "unweighted";
  /** The coordinates that chains sample in. */
  readonly coordinates?: Coordinates;
  /** The one site that chains sample where all other latents are integrated out; absent where they sample all. */
  readonly marginalSite?: string;
  start(setting: NegativeSetting): Promise<NegativeSource>;
}

/** A handler that gives a model other coordinates with the same draws, for instance `inNoise("x")`. */
export type Coordinates = (model: Model<[], Effect, unknown>) => Model<[], Effect, unknown>;

/**
 * Self-normalised importance sampling over `n` fresh base draws a step: Σ w̃ᵢ ∇E(xᵢ), wᵢ = e^{−E(xᵢ)}. The bias is O(1/n) and grows with the
 * variance of the weights: for images the weights collapse.
 */
export function freshDraws(n = 1024): Negatives {
  checkWhole("freshDraws", "n", n, 2);
  return {
    name: `snis(${n})`,
    kind: "weighted",
    async start({ problem }) {
      const { depth, latents } = inspectModel(problem);
      const base = unscored(problem.model);
      return {
        count: n,
        async next(step) {
          return scope(() => {
            const run = interpret(base(...problem.args), {
              key: fold(fold(problem.key, "negatives"), step),
              particles: n,
              depth,
              params: toTensors(problem.params),
            });
            return Object.fromEntries(latents.map(({ name }) => [name, exportSite(run, run.sites.get(name) as never)]));
          });
        },
        info: () => ({}),
        buffered: () => undefined,
        dispose: () => undefined,
      };
    },
  };
}

/** Shannon entropy of labels in nats: of a buffer it shows whether chains have lost a class. log k for k equally frequent classes. */
export function classEntropy(labels: ArrayLike<number>): number {
  const counts = new Map<number, number>();
  for (let i = 0; i < labels.length; i++) counts.set(labels[i] as number, (counts.get(labels[i] as number) ?? 0) + 1);
  return [...counts.values()].reduce((h, c) => h - (c / labels.length) * Math.log(c / labels.length), 0);
}
