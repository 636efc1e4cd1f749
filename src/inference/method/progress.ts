/** A progress bar for terminals, to be used as `onProgress`. Where there is no terminal it is silent. */
import type { Progress } from "./infer.ts";

/** Where a bar is drawn: the part of a Node stream that it needs. */
export interface ProgressStream {
  readonly isTTY?: boolean;
  readonly columns?: number;
  write(text: string): unknown;
}

/** Options of {@link progressBar}. */
export interface ProgressBarOptions {
  /** Default: standard error, so that a program's output stays clean. In a browser: nothing. */
  readonly stream?: ProgressStream;
  /** Milliseconds between redraws. Default 100. */
  readonly interval?: number;
}

/** Characters of the bar itself. */
const BAR = 24;
const CLEAR_LINE = "\r\u001b[K";
const DEFAULT_COLUMNS = 80;

const showMetric = (x: number): string =>
  Number.isInteger(x) ? String(x) : Math.abs(x) >= 1e5 || Math.abs(x) < 1e-3 ? x.toExponential(2) : x.toPrecision(5);

/** `elbo ████░░ 42% 840/2000 loss 128.31`, no wider than `columns`. */
export function progressLine({ method, step, total, metrics }: Progress, columns = DEFAULT_COLUMNS): string {
  const share = total > 0 ? Math.min(1, step / total) : 1;
  const filled = Math.floor(share * BAR);
  const shown = Object.entries(metrics).map(([name, value]) => `${name} ${showMetric(value)}`);
  const line = [
    method,
    "█".repeat(filled) + "░".repeat(BAR - filled),
    `${Math.floor(share * 100)}%`,
    `${step}/${total}`,
    ...shown,
  ].join(" ");
  return line.slice(0, Math.max(0, columns - 1));
}

/**
 * A callback that draws a bar with the newest metrics on one line of the terminal.
 *
 * @remarks Quiet when the stream is not a terminal: logs and pipes get nothing.
 * @example await infer(model, elbo(guide), { seed: 1, onProgress: progressBar() });
 */
export function progressBar(options: ProgressBarOptions = {}): (progress: Progress) => void {
  const stream = options.stream ?? (globalThis as { process?: { stderr?: ProgressStream } }).process?.stderr;
  if (stream?.isTTY !== true) return () => undefined;
  const { interval = 100 } = options;
  let last = Number.NEGATIVE_INFINITY;
  let ended = false;
  // Metrics that come once an epoch stay on the line between epochs.
  let metrics: Progress["metrics"] = {};
  return (progress) => {
    metrics = progress.step <= 1 ? progress.metrics : { ...metrics, ...progress.metrics };
    const done = progress.step >= progress.total;
    // A method may go on after its last step, for instance to estimate a bound.
    if (done && ended) return;
    ended = done;
    const now = Date.now();
    if (!done && now - last < interval) return;
    last = now;
    stream.write(CLEAR_LINE + progressLine({ ...progress, metrics }, stream.columns) + (done ? "\n" : ""));
  };
}
