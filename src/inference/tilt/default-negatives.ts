/**
 * Where the negatives of a tilt come from unless a user says: by the kind of site. Weights over base draws serve few dimensions; pictures need
 * chains, and the chains of pictures, as of anything without a gradient, move in (z, ε).
 */
import { inNoise, NOISE_FAMILIES } from "../../effects/noise-space.ts";
import type { SiteInfo } from "../problem/inspect-model.ts";
import { chainDraws } from "./chain-negatives.ts";
import { type Coordinates, freshDraws, type Negatives } from "./negatives.ts";

/** Entries of a site, from which on it counts as a picture: 8 × 8 pixels. */
const PICTURE = 64;

const isPicture = ({ shape }: SiteInfo): boolean => shape.reduce((a, b) => a * b, 1) >= PICTURE;

/**
 * The negatives asked for. Without any: `freshDraws()`, and for pictures `chainDraws()`. Chains without coordinates of their own move in the
 * noise of a picture or a discrete site, where its family has such a form, and otherwise in the sites as they are.
 */
export function negativesFor(site: SiteInfo, asked: Negatives | undefined): Negatives {
  const hasNoise = NOISE_FAMILIES.has(site.family ?? "");
  const negatives = asked ?? (isPicture(site) && hasNoise ? chainDraws() : freshDraws());
  const chosen = negatives.coordinates !== undefined || negatives.alone !== undefined;
  if (negatives.kind === "weighted" || chosen) return negatives;
  return hasNoise && (isPicture(site) || site.discrete)
    ? {
        ...negatives,
        name: `${negatives.name} in the noise of "${site.name}"`,
        coordinates: inNoise(site.name) as unknown as Coordinates,
      }
    : negatives;
}
