/** How balanced the generated classes are: shares, total variation from 1/k, fairness discrepancy. */
import { fairnessDiscrepancy, totalVariation } from "tilted/data";
import { CLASSES } from "./recipe.ts";

export interface Balance {
  readonly shares: readonly number[];
  /** Total variation between the shares and 1/k. */
  readonly tv: number;
  /** ‖shares − 1/k‖₂. */
  readonly fairness: number;
}

const EVEN = CLASSES.map(() => 1 / CLASSES.length);

export const balanceOf = (shares: readonly number[]): Balance => ({
  shares,
  tv: totalVariation(shares, EVEN),
  fairness: fairnessDiscrepancy(shares),
});
