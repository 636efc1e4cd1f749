/** SVG to PNG by resvg, with the library's own font: the same pixels on every machine, also one that has no fonts. */
import { fail } from "../core/errors.ts";
import { nodeModule } from "../core/node.ts";
import type { Figure } from "./frame.ts";
import { INK } from "./theme.ts";

/** Weights that the figures use. */
const FONT_FILES = ["400Regular/Inter_400Regular.ttf", "600SemiBold/Inter_600SemiBold.ttf"] as const;

/** Pixels of the PNG for one pixel of the SVG: sharp on today's screens and in print. */
const DEFAULT_SCALE = 2;

/** Size of the PNG: a multiple of the natural size, or a width in pixels. */
export type PngSize = { readonly scale: number } | { readonly width: number };

/** resvg's native part and the fonts; by `require` at run time, so that a bundler for browsers does not meet them. */
function loadResvg(): { readonly resvg: typeof import("@resvg/resvg-js"); readonly files: string[] } {
  const require = nodeModule("node:module", "toPng").createRequire(import.meta.url);
  return {
    resvg: require("@resvg/resvg-js"),
    files: FONT_FILES.map((file) => require.resolve(`@expo-google-fonts/inter/${file}`)),
  };
}

/**
 * Draws a figure as a PNG file.
 *
 * @param figure - A figure or an SVG text.
 * @param size - `{ scale }` (2 unless told) or `{ width }` in pixels; the shape is kept.
 * @throws `argument` for a size that is not positive; `engine` where resvg cannot load (a browser draws SVG by itself).
 */
export async function toPng(figure: Figure | string, size: PngSize = { scale: DEFAULT_SCALE }): Promise<Uint8Array> {
  const value = "scale" in size ? size.scale : size.width;
  if (!(Number.isFinite(value) && value > 0)) fail("argument", `toPng: size must be positive, got ${value}`);
  const { resvg, files } = await Promise.resolve()
    .then(loadResvg)
    .catch((cause: unknown) =>
      fail("engine", "toPng needs @resvg/resvg-js and its native part, in Node; elsewhere show the SVG itself", {
        cause,
      }),
    );
  const drawing = new resvg.Resvg(typeof figure === "string" ? figure : figure.svg, {
    background: INK.paper,
    fitTo: "scale" in size ? { mode: "zoom", value } : { mode: "width", value: Math.round(value) },
    font: { loadSystemFonts: false, fontFiles: files, defaultFontFamily: "Inter", sansSerifFamily: "Inter" },
  });
  return drawing.render().asPng();
}
