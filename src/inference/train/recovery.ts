/** Recovery of a run that diverges: which of its good states are kept, and to which of them it goes back. */
import type { ArrayTree } from "../../core/tree.ts";

/** A state that a run can go back to. */
export interface GoodState {
  /** Steps done before it. */
  readonly step: number;
  /** The epoch it ended, counted from 0; −1 for the start. */
  readonly epoch: number;
  readonly params: ArrayTree;
}

/** A state that may be kept: its parameters go on changing, so they are copied. */
export interface CandidateState extends Pick<GoodState, "step" | "epoch"> {
  /** Mean loss over the steps of the epoch; NaN at the start. */
  readonly loss: number;
  copy(): ArrayTree;
}

/** Good states of one run. */
export interface Recovery {
  /** Called with the start, and after every epoch without divergence. */
  offer(state: CandidateState): void;
  /** The state to go back to; undefined when there is none: the run then throws its error. */
  choose(): GoodState | undefined;
}

/** Goes back to the epoch with the least mean loss. */
export function leastLoss(): Recovery {
  let best: (GoodState & { readonly loss: number }) | undefined;
  return {
    offer({ step, epoch, loss, copy }) {
      if (epoch >= 0 && (best === undefined || loss < best.loss)) best = { step, epoch, loss, params: copy() };
    },
    choose: () => best,
  };
}

/** The newest states, oldest first. */
export interface Ring extends Recovery {
  readonly entries: readonly GoodState[];
}

/**
 * Keeps the newest `size` states: when it is full, the oldest is dropped.
 *
 * @param choose - The state to go back to. Default: the newest.
 */
export function ring(
  size: number,
  choose: (entries: readonly GoodState[]) => GoodState | undefined = (entries) => entries.at(-1),
): Ring {
  let entries: readonly GoodState[] = [];
  return {
    offer({ step, epoch, copy }) {
      entries = [...entries, { step, epoch, params: copy() }].slice(-size);
    },
    choose: () => choose(entries),
    get entries() {
      return entries;
    },
  };
}
