/**
 * `npm run test:near [-- --since REF] [-- --list]`: the tests near the files that a change touches, as a fast inner loop. A change is what
 * differs from REF, committed or not, and what git does not know yet; REF is by default where the branch left main, on main itself HEAD, and
 * where nothing differs from that, the commit before. Near are, for each file, a changed test itself, or else the tests that have the
 * shortest way of imports to it: those that import it, or if there are none, those that import what imports it, and so on; of many, the few whose
 * folders are the most alike. `npm test` runs all. `--list` only prints them. Other arguments go to vitest.
 */
import { execFileSync, spawnSync } from "node:child_process";
import { existsSync, readFileSync } from "node:fs";
import { entryPoints, pathOf } from "./specifiers.mjs";

/** A file that gathers what others export says little of who uses what: it counts as so many imports. */
const GATHERING = 3;
/** Tests of one changed file that are run. */
const MOST = 10;
const CODE = /\.(ts|mjs|cjs)$/;
const TEST = /^(src|tests)\/(?!long\/).*\.test\.ts$/;

const entries = entryPoints();

const git = (...args) =>
  execFileSync("git", args, { encoding: "utf8", stdio: ["ignore", "pipe", "ignore"] }).split("\n").filter(Boolean);
const attempt = (...args) => {
  try {
    return git(...args);
  } catch {
    return [];
  }
};

function changedSince(ref) {
  const names = [...git("diff", "--name-only", "--relative", ref), ...git("ls-files", "--others", "--exclude-standard")];
  return [...new Set(names)].sort();
}

/** Files changed, and since when. */
function change(asked) {
  if (asked !== undefined) return { ref: asked, files: changedSince(asked) };
  const [fork = "HEAD"] = attempt("merge-base", "HEAD", "main");
  const files = changedSince(fork);
  if (files.length > 0 || attempt("rev-parse", "HEAD~1").length === 0) return { ref: fork, files };
  return { ref: "HEAD~1", files: changedSince("HEAD~1") };
}

/** The file that a specifier names, if it is one of the tree: as TypeScript has it, or by its path from the root. */
function resolve(from, specifier, known) {
  const path = pathOf(from, specifier, entries) ?? specifier;
  return known.has(path) ? path : undefined;
}

/** Who imports a file, or names it as a program to run. */
function importers(files) {
  const known = new Set(files);
  const by = new Map();
  for (const file of files) {
    for (const [, specifier] of readFileSync(file, "utf8").matchAll(/["'`]([\w@./-]+)["'`]/g)) {
      const target = resolve(file, specifier, known);
      if (target !== undefined && target !== file) by.set(target, (by.get(target) ?? new Set()).add(file));
    }
  }
  return by;
}

/** Folders that two files have in common, `src` and `tests` being one. */
function alike(a, b) {
  const [one, other] = [a, b].map((path) => path.split("/").slice(1, -1));
  const parted = one.findIndex((name, i) => name !== other[i]);
  return parted < 0 ? one.length : parted;
}

/** The tests with the shortest way of imports to a file, those first whose folders are most alike. */
function nearest(file, by) {
  if (TEST.test(file)) return [file];
  const ways = new Map([[file, 0]]);
  const tests = new Map();
  for (let length = 0; [...ways.values()].some((way) => way >= length); length++) {
    for (const [here, way] of [...ways]) {
      if (way !== length) continue;
      for (const next of by.get(here) ?? []) {
        const longer = length + (next.endsWith("/index.ts") ? GATHERING : 1);
        if (TEST.test(next)) tests.set(next, Math.min(tests.get(next) ?? Infinity, length));
        else if (longer < (ways.get(next) ?? Infinity)) ways.set(next, longer);
      }
    }
    const found = [...tests].filter(([, way]) => way === length).map(([test]) => test);
    if (found.length > 0) return found.sort((a, b) => alike(b, file) - alike(a, file) || (a < b ? -1 : 1));
  }
  return [];
}

const args = process.argv.slice(2);
const since = args.indexOf("--since");
const asked = since < 0 ? undefined : args.splice(since, 2)[1];
const listed = args.includes("--list");

const { ref, files } = change(asked);
const tree = [...git("ls-files"), ...git("ls-files", "--others", "--exclude-standard")];
const by = importers([...new Set(tree)].filter((file) => CODE.test(file) && existsSync(file)));
const near = new Set();
console.log(`Changed since ${ref}:`);
for (const file of files) {
  const tests = existsSync(file) ? nearest(file, by) : [];
  const taken = tests.slice(0, MOST);
  for (const test of taken) near.add(test);
  const others = tests.length > MOST ? `, and not ${tests.length - MOST} others as near` : "";
  console.log(`  ${file}${tests.includes(file) ? "" : ` ← ${taken.join(", ") || "no test"}${others}`}`);
}
console.log(`${near.size} test files are near.`);
if (near.size > 0 && !listed) {
  const { status } = spawnSync("npx", ["vitest", "run", ...args, ...[...near].sort()], { stdio: "inherit" });
  process.exitCode = status ?? 1;
}
