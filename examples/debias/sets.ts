/** The digits: a large biased set, a small balanced one, and the rest, for the classifier. */
import { pipe } from "fp-ts/lib/function.js";
import * as TE from "fp-ts/lib/TaskEither.js";
import type { TiltedError } from "tilted";
import {
  biasedSplit,
  type Digits,
  loadIdxFolder,
  loadMnistPackage,
  selectClasses,
  takeRows,
  trainValidationSplit,
} from "tilted/data";
import { CLASSES, CLASSIFIER, KEEP, SHARES, VAE } from "./recipe.ts";

export interface Halves {
  readonly training: Digits;
  readonly validation: Digits;
}

/** Everything a run learns from. */
export interface Sets {
  readonly name: string;
  readonly biased: Digits;
  readonly unbiased: Digits;
  readonly biasedCounts: readonly number[];
  readonly unbiasedCounts: readonly number[];
  readonly biasedHalves: Halves;
  readonly unbiasedHalves: Halves;
  /** Digits of all five classes, for the classifier. */
  readonly labelled: Halves;
}

const halves = (digits: Digits, fraction: number, seed: string): Halves => {
  const { train, validation } = trainValidationSplit(digits.count, fraction, seed);
  return { training: takeRows(digits, train), validation: takeRows(digits, validation) };
};

/** Splits the digits as the walkthrough does. */
export function makeSets(digits: Digits, seed: number): Sets {
  const split = biasedSplit(digits, { classes: CLASSES, shares: SHARES, keep: KEEP, seed });
  const { biased, unbiased, biasedCounts, unbiasedCounts } = split;
  return {
    name: digits.name,
    biased,
    unbiased,
    biasedCounts,
    unbiasedCounts,
    biasedHalves: halves(biased, VAE.validation, `${seed}/biased`),
    unbiasedHalves: halves(unbiased, VAE.validation, `${seed}/unbiased`),
    labelled: halves(selectClasses(digits, CLASSES), CLASSIFIER.test, `${seed}/labelled`),
  };
}

/** Loads the digits of the npm package, or of a folder with the four IDX files. */
export const loadDigits = (folder: string | undefined): TE.TaskEither<TiltedError, Digits> =>
  folder === undefined
    ? loadMnistPackage()
    : pipe(
        loadIdxFolder(folder),
        TE.map(({ train }) => train),
      );
