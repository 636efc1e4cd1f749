/** Every TypeScript block of the README and the other pages type-checks and runs, and prints what is said there; files they name exist. */
import { existsSync, mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { root, runNode, runTs } from "./support/run.ts";

interface Block {
  readonly page: string;
  readonly code: string;
  /** A following ```text block: the output, in which `…` stands for anything. */
  readonly output: string | undefined;
}

const pages = [
  "README.md",
  "ARCHITECTURE.md",
  "CONTRIBUTING.md",
  "CHANGELOG.md",
  ...readdirSync(join(root, "docs"))
    .filter((name) => name.endsWith(".md"))
    .map((name) => `docs/${name}`),
];
const blocks: Block[] = pages.flatMap((page) =>
  [
    ...readFileSync(join(root, page), "utf8").matchAll(/^```ts\n([\s\S]*?)^```\n(?:\n?^```text\n([\s\S]*?)^```)?/gm),
  ].map(([, code, output]) => ({ page, code: code as string, output })),
);

// Inside the tree, so that the package resolves itself by name as it does for examples.
const folder = join(root, "tests", ".readme");
const file = (i: number) => join(folder, `block-${i + 1}.ts`);

beforeAll(() => {
  mkdirSync(folder, { recursive: true });
  blocks.forEach(({ code }, i) => {
    writeFileSync(file(i), code);
  });
  const config = { extends: "../../tsconfig.json", include: ["*.ts"], compilerOptions: { noEmit: true } };
  writeFileSync(join(folder, "tsconfig.json"), JSON.stringify(config));
});

afterAll(() => rmSync(folder, { recursive: true, force: true }));

/** Files that a page names in code marks, and where its links lead. Capitals stand for a name to be chosen. */
function filesNamed(page: string): string[] {
  const text = readFileSync(join(root, page), "utf8").replace(/^```[\s\S]*?^```/gm, "");
  const named = [...text.matchAll(/`((?:src|tests|bench|examples|scripts|docs)\/[\w./-]+)`/g)].map(
    ([, path]) => path as string,
  );
  const linked = [...text.matchAll(/\]\((?!https?:|#)([^)#]+)/g)].map(([, path]) =>
    join(dirname(page), path as string),
  );
  return [...named.filter((path) => !/[A-Z]{3}/.test(path)), ...linked];
}

const quote = (text: string) => text.replace(/[.*+?^${}()|[\]\\]/g, "\\$&");

describe("README and docs", () => {
  it.each(pages)("%s names files that exist", (page) => {
    expect(filesNamed(page).filter((path) => !existsSync(join(root, path)))).toEqual([]);
  });

  it("has code, and all of it type-checks", async () => {
    expect(blocks.length).toBeGreaterThan(0);
    const { code, stdout } = await runNode([join(root, "node_modules/typescript/bin/tsc"), "-p", folder]);
    expect(stdout).toBe("");
    expect(code).toBe(0);
  });

  it.each(blocks.map((block, i) => ({ ...block, i, title: block.code.split("\n")[0] })))(
    "block $i, of $page, runs: $title",
    async ({ i, output }) => {
      const { code, stdout, stderr } = await runTs(file(i));
      expect(stderr).toBe("");
      expect(code).toBe(0);
      if (output !== undefined)
        expect(stdout.trim()).toMatch(new RegExp(`^${quote(output.trim()).replace(/…/g, ".*?")}$`, "s"));
    },
  );
});
