/** Figures and reports: `tilted/plot`. */
export { type ChartAxes, lines, type Series, scatter, type TrainingCurvesData, trainingCurves } from "./curves.ts";
export type { Figure, FigureText } from "./frame.ts";
export { type HistogramData, histogram } from "./histogram.ts";
export { type ImageGridData, type ImageSet, imageGrid } from "./images.ts";
export { type LabelHistogramData, type LabelSeries, labelHistogram } from "./labels.ts";
export { type Cloud, type LabelledPoints, latentScatter, type PlaneAxes, samplesOverlay } from "./latent.ts";
export { type Bounds, boundsOf, type Interval, type PlanePoints } from "./points.ts";
export { type PngSize, toPng } from "./raster.ts";
export {
  type Block,
  type Cell,
  code,
  facts,
  figures,
  list,
  note,
  type ReportData,
  report,
  type Section,
  table,
  text,
} from "./report.ts";
export { type ContourData, energySurface, evaluateGrid, type GridValues, langevinPaths } from "./surface.ts";
export { sparkline, type TextHistogramData, textHistogram } from "./terminal.ts";
export { showNumber, showShare } from "./text.ts";
export { weightHistogram } from "./weights.ts";
