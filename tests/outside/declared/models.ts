/** Models of the library as exported constants. */
import { type Effect, fisherDrift, inNoise, type Model, mapRows } from "tilted";
import { classifier, energy, fromVae, gaussian, generative, miwae, notMiwae, pointNet, vae } from "tilted/models";

/** A library of models lies in a program that runs them. */
export type Base = Model<[], Effect, unknown>;

export const net = vae({ features: 4, latent: 2, hidden: [8] });
export const base = fromVae(net);
export const table = miwae({ features: 4, latent: 2, hidden: [8] });
export const hidden = notMiwae({ features: 4, latent: 2, hidden: [8] });
export const maker = generative({ features: 4, latent: 2, hidden: [8], likelihood: gaussian() });
export const correction = energy(4);
export const coordinates = inNoise("x");
export const encoding = pointNet();
export const judge = classifier({ features: 4, hidden: [8], classes: 2 });
export const drift = fisherDrift(base);
export const many = mapRows;
