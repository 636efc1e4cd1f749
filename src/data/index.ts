/** Real digits, toy densities, splits and measures of balance: `tilted/data`. */
export { classCounts, type Digits, selectClasses, takeRows } from "./digits.ts";
export { type DigitFolder, loadIdxFolder } from "./folder.ts";
export { type IdxArray, readIdx, writeIdx } from "./idx.ts";
export { fairnessDiscrepancy, shares, totalVariation } from "./metrics.ts";
export {
  aboveMean,
  block,
  box,
  byIntensity,
  byRow,
  byThreshold,
  type Columns,
  firstHalf,
  hide,
  type ImageSize,
  mar,
  mcar,
  type SelfMasking,
  type Standardized,
  selfMaskLogistic,
  selfMaskProbit,
  standardize,
} from "./missing.ts";
export { loadMnistPackage } from "./package.ts";
export {
  type BiasedSplit,
  type BiasedSplitOptions,
  biasedSplit,
  splitCounts,
  type TrainValidationSplit,
  trainValidationSplit,
} from "./split.ts";
export {
  checkerboard,
  gaussianMixture,
  nineGaussians,
  type PlaneDensity,
  type PlaneSample,
  TRIANGLE,
  triangle,
  twoMoons,
  twoRings,
} from "./toy.ts";
