/** Where the negatives of a tilt's gradient come from: what a source of draws of p_E is, and the simplest, weights over fresh base draws. */
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

/** What chains were like in the steps since the last look. */
export interface NegativeInfo {
  readonly acceptance?: number;
  readonly stepSize?: number;
  /** Share of the jumps to base draws that were taken. */
  readonly jumpAcceptance?: number;
  /** Share of the buffer's chains that were drawn afresh. */
  readonly fresh?: number;
  readonly nonFinite?: number;
  /** What the chains followed, where it was an estimate. */
  readonly drift?: DriftReport;
  /** Why they may not be draws of the tilted model. */
  readonly warnings?: readonly string[];
}

/** A running source of negatives. */
export interface NegativeSource {
  readonly count: number;
  next(step: number): Promise<NegativeDraws>;
  info(): NegativeInfo;
  /** What the buffer holds, at most `n` rows, if there is one. */
  held(n: number): NegativeDraws | undefined;
  dispose(): void;
}

/** What a source is made from. */
export interface NegativeSetting {
  /** The base, with parameters that follow the training. */
  readonly problem: Problem;
  /** The tilted model in the coordinates that chains move in, with the same live parameters. */
  readonly tilted: Problem["model"];
  readonly steps: number;
}

/** Negatives, as a value. */
export interface Negatives {
  readonly name: string;
  /** `weighted`: draws of the base, weighed by e^{−E}. `even`: draws of the tilted model. */
  readonly kind: "weighted" | "even";
  /** The coordinates in which chains move. */
  readonly coordinates?: Coordinates;
  /** The site that moves alone, other latents integrated out; without, all move. */
  readonly alone?: string;
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
        held: () => undefined,
        dispose: () => undefined,
      };
    },
  };
}

/** Shannon entropy of labels in nats: of a buffer it tells whether chains have forgotten a class. log k is all classes alike. */
export function classEntropy(labels: ArrayLike<number>): number {
  const counts = new Map<number, number>();
  for (let i = 0; i < labels.length; i++) counts.set(labels[i] as number, (counts.get(labels[i] as number) ?? 0) + 1);
  return [...counts.values()].reduce((h, c) => h - (c / labels.length) * Math.log(c / labels.length), 0);
}
