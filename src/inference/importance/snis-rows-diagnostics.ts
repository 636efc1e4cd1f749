/** Diagnostics of importance sampling by rows: those of each row's weights, their summary, and warnings. */
import { LARGEST_SHARE, LEAST_ESS } from "../diagnostics/thresholds.ts";
import { paretoK, UNRELIABLE_K } from "../weights/pareto.ts";
import { diagnose, sumWeights } from "../weights/weights.ts";

/** Summary over rows. */
export interface RowSummary {
  readonly leastEss: number;
  readonly medianEss: number;
  readonly medianKhat: number;
  readonly largestKhat: number;
  /** Share of rows whose Pareto k is above .7: their means are not to be trusted. */
  readonly unreliable: number;
}

/** Diagnostics of rows, `[rows]`, with their summary and warnings. */
export interface RowDiagnostics {
  readonly ess: Float64Array;
  readonly essRatio: Float64Array;
  readonly largestWeight: Float64Array;
  readonly khat: Float64Array;
  readonly summary: RowSummary;
  readonly rowEvidence: { readonly value: Float64Array; readonly standardError: Float64Array };
  readonly warnings: readonly string[];
}

/** Diagnoses the log-weights `column(row)` of each row. */
export function diagnoseRows(rows: number, column: (row: number) => Float32Array): RowDiagnostics {
  const per = () => new Float64Array(rows);
  const [ess, essRatio, largestWeight, khat, value, standardError] = [per(), per(), per(), per(), per(), per()];
  for (let r = 0; r < rows; r++) {
    const weights = column(r);
    const found = diagnose(sumWeights(weights));
    ess[r] = found.ess;
    essRatio[r] = found.essRatio;
    largestWeight[r] = found.largestWeight;
    khat[r] = paretoK(weights);
    value[r] = found.logMean;
    standardError[r] = found.standardError;
  }
  const summary = {
    leastEss: ess.reduce((a, b) => Math.min(a, b)),
    medianEss: median(ess),
    medianKhat: median(khat),
    largestKhat: khat.reduce((a, b) => Math.max(a, b)),
    unreliable: khat.filter((k) => k > UNRELIABLE_K).length / rows,
  };
  const warnings = warningsOf(ess, largestWeight, khat);
  return { ess, essRatio, largestWeight, khat, summary, rowEvidence: { value, standardError }, warnings };
}

const median = (x: Float64Array): number => {
  const sorted = x.slice().sort();
  const half = sorted.length / 2;
  const [low, high] = [sorted[Math.ceil(half) - 1] as number, sorted[Math.floor(half)] as number];
  // Two infinities of one sign have no mean.
  return low === high ? low : (low + high) / 2;
};

/** Each warning once, with the number of rows concerned and the worst of them. */
function warningsOf(ess: Float64Array, largestWeight: Float64Array, khat: Float64Array): string[] {
  const rows = ess.length;
  const worst = (x: Float64Array, isBad: (v: number) => boolean, isWorse: (a: number, b: number) => boolean) => {
    let [count, at] = [0, -1];
    x.forEach((v, r) => {
      if (!isBad(v) || ess[r] === 0) return;
      count++;
      if (at < 0 || isWorse(v, x[at] as number)) at = r;
    });
    return { count, at, value: x[at] as number };
  };
  const warnings: string[] = [];
  const impossible = ess.filter((e) => e === 0).length;
  if (impossible > 0) {
    warnings.push(
      `${impossible} of ${rows} rows have only weights of zero (the first is row ${ess.indexOf(0)}): no draw is possible under the model`,
    );
  }
  const heavy = worst(
    khat,
    (k) => k > UNRELIABLE_K,
    (a, b) => a > b,
  );
  if (heavy.count > 0) {
    warnings.push(
      `${heavy.count} of ${rows} rows have a Pareto k above ${UNRELIABLE_K} (worst: row ${heavy.at} with ${heavy.value.toFixed(2)}): their means are unreliable; use a proposal closer to the target`,
    );
  }
  const few = worst(
    ess,
    (e) => e < LEAST_ESS.weights,
    (a, b) => a < b,
  );
  if (few.count > 0) {
    warnings.push(
      `${few.count} of ${rows} rows have fewer than ${LEAST_ESS.weights} effective draws (least: row ${few.at} with ${few.value.toFixed(1)})`,
    );
  }
  const dominated = worst(
    largestWeight,
    (w) => w > LARGEST_SHARE,
    (a, b) => a > b,
  );
  if (dominated.count > 0) {
    warnings.push(
      `in ${dominated.count} of ${rows} rows one draw holds more than ${Math.round(100 * LARGEST_SHARE)} % of all weight (most: row ${dominated.at} with ${Math.round(100 * dominated.value)} %)`,
    );
  }
  return warnings;
}
