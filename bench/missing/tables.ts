/** The tables of the benchmark: CSV files of a folder given by the user, features only. */
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { type NdArray, ndarray } from "tilted";

/** A data set and where its features are. */
export interface Source {
  readonly name: string;
  readonly file: string;
  readonly separator: string;
  /** First and last column of the features, the latter left out. */
  readonly columns: readonly [from: number, to: number];
}

export const SOURCES = {
  banknote: { name: "Banknote", file: "uci/banknote.csv", separator: ",", columns: [0, 4] },
  white: { name: "White wine", file: "uci/winequality-white.csv", separator: ";", columns: [0, 11] },
  breast: { name: "Breast cancer", file: "uci/breast-cancer-wisconsin.csv", separator: ",", columns: [2, 32] },
} as const satisfies { readonly [name: string]: Source };

/** Reads the features, `[n, d]`. */
export function readTable(folder: string, { file, separator, columns }: Source): NdArray {
  const [, ...lines] = readFileSync(join(folder, file), "utf8").trim().split(/\r?\n/);
  const rows = lines.map((line) =>
    line
      .split(separator)
      .slice(...columns)
      .map(Number),
  );
  const [n, d] = [rows.length, columns[1] - columns[0]];
  const flat = Float32Array.from(rows.flat());
  if (flat.length !== n * d || flat.some(Number.isNaN)) throw new Error(`${file}: not a table of ${d} numbers a line`);
  return ndarray(flat, [n, d]);
}
