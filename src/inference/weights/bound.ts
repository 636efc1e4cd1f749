/** Bounds of a log-evidence: the quantity that an estimate bounds, and from which side. With a `factor` in the model it includes log Z. */
import type { Effect } from "../../effects/effects.ts";
import type { IsNormalized, ObservedOf } from "../../effects/sites.ts";

/** The quantity estimated, by what the model contains. */
export type EvidenceOf<E extends Effect> =
  IsNormalized<E> extends true ? "log p(data)" : [ObservedOf<E>] extends [never] ? "log Z" : "log p(data) + log Z";

/** An estimate of a log-evidence, with its side. */
export interface Bound<Of extends string = string> {
  /** In nats. */
  readonly value: number;
  /** Monte Carlo standard error of `value`, in nats. */
  readonly standardError: number;
  /** `lower`: at most the truth in expectation; `upper`: at least. */
  readonly side: "lower" | "upper";
  /** What is bounded. With a factor in the model it is up to log Z, and the label says so. */
  readonly of: Of;
}

/** The label of {@link Bound.of}, at run time. */
export const evidenceLabel = (normalized: boolean, hasData: boolean): string =>
  normalized ? "log p(data)" : hasData ? "log p(data) + log Z" : "log Z";

/** A lower and an upper estimate of one quantity. */
export interface Sandwich<Of extends string = string> {
  readonly lower: Bound<Of>;
  readonly upper: Bound<Of>;
}

/** `log p(data) ≥ -119.02 ± 0.11`. */
export const showBound = ({ value, standardError, side, of }: Bound): string =>
  `${of} ${side === "lower" ? "≥" : "≤"} ${value.toPrecision(5)} ± ${standardError.toPrecision(2)}`;
