/** A folder of IDX files: plain, gzip, dots for dashes, and each way it can be wrong. */
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { gzipSync } from "node:zlib";
import * as E from "fp-ts/lib/Either.js";
import { afterAll, describe, expect, it } from "vitest";
import { loadIdxFolder } from "./folder.ts";
import { writeIdx } from "./idx.ts";

const made: string[] = [];
afterAll(() => Promise.all(made.map((dir) => rm(dir, { recursive: true }))));

const images = (n: number, side = 28) =>
  writeIdx({ shape: [n, side, side], data: Uint8Array.from({ length: n * side * side }, (_, i) => i % 256) });
const labels = (n: number, last = 3) =>
  writeIdx({ shape: [n], data: Uint8Array.from({ length: n }, (_, i) => (i === n - 1 ? last : i % 10)) });

const good = (): Record<string, Uint8Array> => ({
  "train-images-idx3-ubyte": images(5),
  "train-labels-idx1-ubyte": labels(5),
  "t10k-images-idx3-ubyte": images(2),
  "t10k-labels-idx1-ubyte": labels(2),
});

async function folder(files: Record<string, Uint8Array>): Promise<string> {
  const dir = await mkdtemp(join(tmpdir(), "idx-"));
  made.push(dir);
  await Promise.all(Object.entries(files).map(([name, bytes]) => writeFile(join(dir, name), bytes)));
  return dir;
}

const load = async (files: Record<string, Uint8Array>) => loadIdxFolder(await folder(files))();

async function errorOf(change: (files: Record<string, Uint8Array>) => void): Promise<string> {
  const files = good();
  change(files);
  const result = await load(files);
  if (E.isRight(result)) throw new Error("the folder was accepted");
  expect(result.left.code).toBe("data");
  expect(result.left.message).not.toContain("\n");
  return result.left.message;
}

describe("loadIdxFolder", () => {
  it("reads both parts with values in [0, 1]", async () => {
    const result = await load(good());
    if (E.isLeft(result)) throw result.left;
    const { train, test } = result.right;
    expect([train.count, test.count, train.rows, train.columns]).toEqual([5, 2, 28, 28]);
    expect(Array.from(train.labels)).toEqual([0, 1, 2, 3, 3]);
    expect(train.images).toHaveLength(5 * 784);
    expect(train.images[255]).toBe(1);
    expect(train.images[51]).toBe(Math.fround(51 / 255));
  });

  it("reads the same from gzip files and from names with a dot", async () => {
    const plain = await load(good());
    const entries = Object.entries(good());
    expect(await load(Object.fromEntries(entries.map(([n, b]) => [`${n}.gz`, gzipSync(b)])))).toEqual(plain);
    expect(await load(Object.fromEntries(entries.map(([n, b]) => [n.replace("-idx", ".idx"), b])))).toEqual(plain);
  });

  it("names a missing folder and a missing file", async () => {
    const nowhere = await loadIdxFolder(join(tmpdir(), "no-such-folder-of-digits"))();
    expect(E.isLeft(nowhere) && nowhere.left.message).toMatch(/no-such-folder-of-digits: cannot read this folder/);
    const message = await errorOf((f) => delete f["t10k-labels-idx1-ubyte"]);
    expect(message).toMatch(/missing file t10k-labels-idx1-ubyte \(also looked for .*\.gz/);
  });

  it("names the file that is truncated, oversized or exchanged", async () => {
    const cut = await errorOf((f) => (f["train-images-idx3-ubyte"] = images(5).subarray(0, 100)));
    expect(cut).toMatch(/train-images-idx3-ubyte: truncated: 84 bytes of data, 5 × 28 × 28 needs 3920/);
    const long = await errorOf((f) => (f["t10k-labels-idx1-ubyte"] = Uint8Array.from([...labels(2), 0])));
    expect(long).toMatch(/t10k-labels-idx1-ubyte: oversized: 3 bytes of data, 2 needs 2/);
    const swapped = await errorOf((f) => (f["train-images-idx3-ubyte"] = labels(5)));
    expect(swapped).toMatch(/wrong magic 00 00 08 01: 1 dimensions, expected 3/);
  });

  it("refuses other pictures, labels out of range and counts that do not match", async () => {
    expect(await errorOf((f) => (f["train-images-idx3-ubyte"] = images(5, 27)))).toMatch(
      /pictures of 27 × 27, expected 28 × 28/,
    );
    expect(await errorOf((f) => (f["train-labels-idx1-ubyte"] = labels(5, 10)))).toMatch(
      /label 10 at row 4, expected 0 to 9/,
    );
    expect(await errorOf((f) => (f["train-images-idx3-ubyte"] = images(0)))).toMatch(/holds no picture/);
    expect(await errorOf((f) => (f["train-labels-idx1-ubyte"] = labels(4)))).toMatch(/4 labels for the 5 pictures/);
  });

  it("tells a gunzip failure", async () => {
    const message = await errorOf((f) => {
      f["train-images-idx3-ubyte.gz"] = Uint8Array.of(1, 2, 3);
      delete f["train-images-idx3-ubyte"];
    });
    expect(message).toMatch(/train-images-idx3-ubyte\.gz: cannot gunzip: incorrect header check/);
  });
});
