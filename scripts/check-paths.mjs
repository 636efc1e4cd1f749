/**
 * The part of `npm run floors` that dependency-cruiser does not see: types written as `import("…").T`, paths in `require` and in `new URL`.
 * Each string in src that names a file from where it stands, or an entry point by the package's name, is held against the rules of
 * .dependency-cruiser.cjs, whatever it is used for. And as circles of types are found by their imports alone, `import("…")` of a file of
 * the tree stands behind `await` only; a type is imported at the top of its file.
 */
import { readdirSync, readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { join } from "node:path";
import { entryPoints, pathOf } from "./specifiers.mjs";

const { forbidden } = createRequire(import.meta.url)("../.dependency-cruiser.cjs");
/** Rules that two paths decide; circles, orphans and packages are dependency-cruiser's. */
const rules = forbidden.filter(({ to }) => (to.path ?? to.pathNot) !== undefined && to.couldNotResolve === undefined);

const within = (path, { path: inside = "", pathNot }) =>
  new RegExp(inside).test(path) && (pathNot === undefined || !new RegExp(pathNot).test(path));
/** A folder ends with a slash, as the rules have it. */
const asFolder = (path) => (/\/$|\.\w+$/.test(path) ? path : `${path}/`);

const QUOTED = /(?<=(["'`]))(\.\.?\/[^"'`\n]*|\.\.|tilted\/[\w/-]+)(?=\1)/g;
const INLINE = /(?<!\bawait\s+)\bimport\(\s*(?:\/\*.*?\*\/\s*)?["'`]([^"'`\n]+)/g;

function* violations(from, entries) {
  const text = readFileSync(from, "utf8");
  for (const [, , specifier] of text.matchAll(QUOTED)) {
    const path = pathOf(from, specifier, entries);
    if (path === undefined) continue;
    const to = asFolder(path);
    for (const { name, ...rule } of rules) if (within(from, rule.from) && within(to, rule.to)) yield [name, from, to];
  }
  for (const [, specifier] of text.matchAll(INLINE)) {
    const to = pathOf(from, specifier, entries);
    if (to !== undefined) yield ["types-imported-at-the-top", from, to];
  }
}

const entries = entryPoints();
const files = readdirSync("src", { recursive: true }).map((file) => join("src", file).replaceAll("\\", "/"));
const found = files.filter((file) => /\.[cm]?[jt]sx?$/.test(file)).flatMap((file) => [...violations(file, entries)]);
for (const [name, from, to] of found) console.log(`error ${name}: ${from} → ${to}`);
process.exitCode = found.length === 0 ? 0 : 1;
