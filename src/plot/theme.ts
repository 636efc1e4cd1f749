/** The one look of all figures: fonts, colours, sizes. Colours are safe for the common kinds of colour blindness and are never the only sign. */

/** Family names, first the one whose file ships with the library, so that PNG text needs no fonts on the machine. */
export const FONT_FAMILY = "Inter, 'Helvetica Neue', Arial, sans-serif";

/** Sizes of text in pixels of an SVG at its natural width. */
export const TEXT = { title: 17, subtitle: 13, panel: 13, axis: 12, legend: 12.5, caption: 11.5 } as const;

/** Space in pixels. */
export const SPACE = { page: 18, gap: 20, line: 1.4 } as const;

/** Default natural width of a figure in pixels. */
export const WIDTH = 640;

/** Default natural width of a picture of the plane, which is about as high as it is wide. */
export const PLANE_WIDTH = 560;

/** Colours of everything that is not data. */
export const INK = {
  text: "#1f2328",
  soft: "#57606a",
  axis: "#8c959f",
  grid: "#e4e7eb",
  paper: "#ffffff",
} as const;

/** Okabe and Ito's colours (2008) without the yellow that vanishes on white, then four from Paul Tol's muted scheme: ten classes. */
export const PALETTE = [
  "#0072b2",
  "#d55e00",
  "#009e73",
  "#aa4499",
  "#e69f00",
  "#56b4e9",
  "#882255",
  "#999933",
  "#332288",
  "#6e7781",
] as const;

/** A line at `y = share of one class` and other marks that say where truth or balance lies. */
export const REFERENCE = "#24292f";

/** Colour `i` of the palette, cyclic. */
export const colourOf = (i: number): string => PALETTE[i % PALETTE.length] as string;

/** Stops of the sequential ramp, low to high: one hue with even steps of lightness, readable in grey, and light enough at its end for points and paths over it. */
const RAMP = ["#f8fbfe", "#e3eef9", "#cfe1f2", "#b0d2e8", "#88bddc", "#5ba3cf", "#3a87c2"] as const;

const channel = (hex: string, i: number): number => Number.parseInt(hex.slice(1 + 2 * i, 3 + 2 * i), 16);

/** The ramp at `t` in [0, 1] as a hexadecimal colour; `t` outside is clamped. */
export function rampColour(t: number): string {
  const place = Math.min(1, Math.max(0, t)) * (RAMP.length - 1);
  const i = Math.min(RAMP.length - 2, Math.floor(place));
  const [low, high] = [RAMP[i] as string, RAMP[i + 1] as string];
  const mix = (c: number) => Math.round(channel(low, c) + (place - i) * (channel(high, c) - channel(low, c)));
  return `#${[0, 1, 2].map((c) => mix(c).toString(16).padStart(2, "0")).join("")}`;
}
