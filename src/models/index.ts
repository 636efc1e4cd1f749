/** `tilted/models`: autoencoders, energies, models of missing data and a classifier: ordinary programs, without privileges. */
export { type Classifier, type ClassifierOptions, classifier, classify, labels } from "./classifier.ts";
export { type ConvEnergyOptions, convEnergy } from "./conv-energy.ts";
export { type EnergyOptions, energy } from "./energy.ts";
export {
  type Base,
  type BaseEffects,
  fromVae,
  type Generative,
  type GenerativeOptions,
  generative,
} from "./generative.ts";
export {
  binary,
  type Entries,
  type GaussianOptions,
  gaussian,
  type Likelihood,
  type StudentOptions,
  student,
} from "./likelihoods.ts";
export { linearMask, type MaskModel, networkMask, type SelfMaskingOptions, selfMasking } from "./mask-models.ts";
export {
  type Incomplete,
  type Miwae,
  type MiwaeOptions,
  maskAccuracy,
  miwae,
  type NotMiwae,
  notMiwae,
} from "./miwae.ts";
export { type ColumnKind, mixedTable, tableFeatures, tableWidth } from "./mixed-table.ts";
export {
  learntConstant,
  type PartialEncoder,
  type PartialEncoding,
  type PointNetOptions,
  pointNet,
  zeroFilled,
} from "./partial-encoders.ts";
export { decode, encode, type Vae, type VaeOptions, vae } from "./vae.ts";
