/** MNIST from a folder with the four standard IDX files, plain or gzip. */
import * as E from "fp-ts/lib/Either.js";
import { pipe } from "fp-ts/lib/function.js";
import * as TE from "fp-ts/lib/TaskEither.js";
import { TiltedError } from "../core/errors.ts";
import { nodeModule } from "../core/node.ts";
import type { Digits } from "./digits.ts";
import { dataError, type IdxArray, readIdx } from "./idx.ts";

/** The two standard parts of MNIST. */
export interface DigitFolder {
  readonly train: Digits;
  readonly test: Digits;
}

/** Side of a picture. */
const SIDE = 28;
const CLASSES = 10;
/** Bytes of an unpacked file at most: five times the largest file of MNIST. */
const MAX_BYTES = 256 * 1024 * 1024;

/** Names under which a standard file is found, the first that exists wins. */
const namesOf = (stem: string, rank: 1 | 3): string[] =>
  [`${stem}-idx${rank}-ubyte`, `${stem}.idx${rank}-ubyte`].flatMap((name) => [name, `${name}.gz`]);

const asDataError = (where: string, cause: unknown): TiltedError =>
  cause instanceof TiltedError
    ? cause
    : dataError(`${where}: ${cause instanceof Error ? cause.message.split("\n")[0] : String(cause)}`, cause);

async function readFile(
  dir: string,
  names: readonly string[],
): Promise<{ readonly name: string; readonly bytes: Uint8Array }> {
  const what = "loadIdxFolder";
  const [fs, path] = [nodeModule("node:fs/promises", what), nodeModule("node:path", what)];
  const [zlib, util] = [nodeModule("node:zlib", what), nodeModule("node:util", what)];
  const folder = await fs.readdir(dir).catch((cause: unknown) => {
    throw dataError(`${dir}: cannot read this folder; it should hold the four MNIST files`, cause);
  });
  const name = names.find((n) => folder.includes(n));
  if (name === undefined)
    throw dataError(`${dir}: missing file ${names[0]} (also looked for ${names.slice(1).join(", ")})`);
  const file = path.join(dir, name);
  const { size } = await fs.stat(file);
  if (size > MAX_BYTES) throw dataError(`${file}: oversized: ${size} bytes, at most ${MAX_BYTES} are read`);
  const bytes = await fs.readFile(file);
  if (!name.endsWith(".gz")) return { name: file, bytes };
  const unpacked = await util
    .promisify<Uint8Array, { maxOutputLength: number }, Uint8Array>(zlib.gunzip)(bytes, { maxOutputLength: MAX_BYTES })
    .catch((cause: unknown) => {
      const large = (cause as { code?: string }).code === "ERR_BUFFER_TOO_LARGE";
      throw dataError(
        large
          ? `${file}: oversized: unpacks to more than ${MAX_BYTES} bytes`
          : `${file}: cannot gunzip: ${(cause as Error).message}`,
        cause,
      );
    });
  return { name: file, bytes: unpacked };
}

const readPart = (
  dir: string,
  stem: string,
  rank: 1 | 3,
): TE.TaskEither<TiltedError, IdxArray & { readonly name: string }> =>
  pipe(
    TE.tryCatch(
      () => readFile(dir, namesOf(stem, rank)),
      (cause) => asDataError(dir, cause),
    ),
    TE.flatMapEither(({ name, bytes }) =>
      pipe(
        readIdx(bytes, name, rank),
        E.map((array) => ({ ...array, name })),
      ),
    ),
  );

/** Joins pictures and labels into one set, or says why they do not belong together. */
export function digitsFromIdx(
  images: IdxArray & { readonly name: string },
  labels: IdxArray & { readonly name: string },
  name: string,
): E.Either<TiltedError, Digits> {
  const [count = 0, rows = 0, columns = 0] = images.shape;
  if (rows !== SIDE || columns !== SIDE)
    return E.left(dataError(`${images.name}: pictures of ${rows} × ${columns}, expected ${SIDE} × ${SIDE}`));
  if (count === 0) return E.left(dataError(`${images.name}: holds no picture`));
  if (labels.shape[0] !== count)
    return E.left(dataError(`${labels.name}: ${labels.shape[0]} labels for the ${count} pictures of ${images.name}`));
  const wrong = labels.data.findIndex((l) => l >= CLASSES);
  if (wrong >= 0)
    return E.left(
      dataError(`${labels.name}: label ${labels.data[wrong]} at row ${wrong}, expected 0 to ${CLASSES - 1}`),
    );
  return E.right({
    name,
    images: Float32Array.from(images.data, (v) => v / 255),
    labels: Int32Array.from(labels.data),
    count,
    rows,
    columns,
  });
}

const readSet = (dir: string, stem: string, name: string): TE.TaskEither<TiltedError, Digits> =>
  pipe(
    TE.Do,
    TE.bind("images", () => readPart(dir, `${stem}-images`, 3)),
    TE.bind("labels", () => readPart(dir, `${stem}-labels`, 1)),
    TE.flatMapEither(({ images, labels }) => digitsFromIdx(images, labels, name)),
  );

/**
 * MNIST from a folder: `train-images-idx3-ubyte`, `train-labels-idx1-ubyte`, `t10k-images-idx3-ubyte`, `t10k-labels-idx1-ubyte`, each
 * plain or `.gz`, also with a dot for the dash before `idx`.
 *
 * @returns Both parts with grey values in [0, 1], or a `data` error of one line: folder or file missing, gunzip failure, wrong
 * magic, truncated, oversized, pictures of another size, labels out of range, or counts that do not match. Node only: an
 * `engine` error elsewhere.
 */
export const loadIdxFolder = (dir: string): TE.TaskEither<TiltedError, DigitFolder> =>
  pipe(
    TE.Do,
    TE.bind("train", () => readSet(dir, "train", "MNIST, training set")),
    TE.bind("test", () => readSet(dir, "t10k", "MNIST, test set")),
  );
