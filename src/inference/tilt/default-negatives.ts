/**
 * The default negatives of a tilt, by the kind of site. Weights over base draws serve few dimensions. Images need chains; chains of images, and
 * of sites without a gradient, sample (z, ε).
 */
import { inNoise, NOISE_FAMILIES } from "../../effects/noise-space.ts";
import type { SiteInfo } from "../problem/inspect-model.ts";
import { chainDraws } from "./chain-negatives.ts";
import { type Coordinates, freshDraws, type Negatives } from "./negatives.ts";

/** Entries from which a site counts as an image: 8 × 8 pixels. */
const IMAGE_ENTRIES = 64;

const isImage = ({ shape }: SiteInfo): boolean => shape.reduce((a, b) => a * b, 1) >= IMAGE_ENTRIES;

/**
 * The negatives that the caller gives; by default `freshDraws()`, and for images `chainDraws()`. Chains without coordinates of their own sample
 * the noise of an image or a discrete site, where its family has such a form, and otherwise the sites as they are.
 */
export function negativesFor(site: SiteInfo, given: Negatives | undefined): Negatives {
  const hasNoise = NOISE_FAMILIES.has(site.family ?? "");
  const negatives = given ?? (isImage(site) && hasNoise ? chainDraws() : freshDraws());
  const chosen = negatives.coordinates !== undefined || negatives.marginalSite !== undefined;
  if (negatives.kind === "weighted" || chosen) return negatives;
  return hasNoise && (isImage(site) || site.discrete)
    ? {
        ...negatives,
        name: `${negatives.name} in the noise of "${site.name}"`,
        coordinates: inNoise(site.name) as unknown as Coordinates,
      }
    : negatives;
}
