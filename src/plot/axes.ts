/** Axes of a panel and the lines behind and under its data: quiet, the same in every figure. */
import * as Plot from "@observablehq/plot";
import { INK } from "./theme.ts";

/** An axis without tick marks, and its label without an arrow. */
export const QUIET_AXIS = { tickSize: 0, labelArrow: "none" } as const;

/** The same with the label at its middle. */
export const CENTRED_AXIS = { ...QUIET_AXIS, labelAnchor: "center" } as const;

/** About how many ticks the axis of bars has. */
export const BAR_TICKS = 5;

/** Horizontal lines behind the data. */
export const gridY = (ticks: number): Plot.Markish => Plot.gridY({ ticks, stroke: INK.grid, strokeOpacity: 1 });

/** The line that bars stand on. */
export const baseline = (): Plot.Markish => Plot.ruleY([0], { stroke: INK.axis });
