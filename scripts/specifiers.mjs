/** What a string in a file of the tree names: another file from where it stands, or an entry point by the package's name. */
import { existsSync, readFileSync } from "node:fs";
import { posix } from "node:path";

/** The entry points as the compiler finds them: `paths` of tsconfig.json in the working directory. */
export function entryPoints() {
  const { compilerOptions = {} } = existsSync("tsconfig.json") ? JSON.parse(readFileSync("tsconfig.json", "utf8")) : {};
  return new Map(Object.entries(compilerOptions.paths ?? {}).map(([name, [file]]) => [name, posix.normalize(file)]));
}

/** The path from the root, or `undefined` if the string is neither. */
export const pathOf = (from, specifier, entries) =>
  /^\.\.?(\/|$)/.test(specifier) ? posix.join(posix.dirname(from), specifier) : entries.get(specifier);
