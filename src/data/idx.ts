/**
 * IDX, the file format of MNIST: two zero bytes, a byte for the element type, a byte for the number of dimensions, each
 * dimension as a big-endian word of 32 bits, then the elements. Read as untrusted input: every malformed file has its own error.
 */
import * as E from "fp-ts/lib/Either.js";
import { TiltedError } from "../core/errors.ts";

/** Unsigned bytes with a shape. */
export interface IdxArray {
  readonly shape: readonly number[];
  readonly data: Uint8Array;
}

/** Element type "unsigned byte", the only one in MNIST. */
const UBYTE = 0x08;
/** Bytes before the dimensions. */
const MAGIC_BYTES = 4;

/** A data error as a value. */
export const dataError = (message: string, cause?: unknown): TiltedError =>
  new TiltedError("data", message, cause === undefined ? {} : { cause });

const hex = (bytes: Uint8Array): string => Array.from(bytes, (b) => b.toString(16).padStart(2, "0")).join(" ");

/**
 * Parses an IDX file of unsigned bytes.
 *
 * @param bytes - The whole file, already unpacked.
 * @param source - How errors name the file.
 * @param rank - The number of dimensions expected: 3 for pictures, 1 for labels; any unless told.
 * @returns The array (a view of `bytes`), or a `data` error: truncated header, wrong magic, truncated data, oversized file.
 */
export function readIdx(bytes: Uint8Array, source = "IDX file", rank?: number): E.Either<TiltedError, IdxArray> {
  const bad = (message: string) => E.left(dataError(`${source}: ${message}`));
  if (bytes.length < MAGIC_BYTES) return bad(`truncated: ${bytes.length} bytes, an IDX file opens with ${MAGIC_BYTES}`);
  const magic = bytes.subarray(0, MAGIC_BYTES);
  const dimensions = bytes[3] as number;
  if (magic[0] !== 0 || magic[1] !== 0 || magic[2] !== UBYTE || dimensions === 0) {
    const packed = magic[0] === 0x1f && magic[1] === 0x8b ? " (this is gzip: unpack it or name it .gz)" : "";
    return bad(`wrong magic ${hex(magic)}${packed}; expected 00 00 08 and the number of dimensions`);
  }
  if (rank !== undefined && dimensions !== rank)
    return bad(
      `wrong magic ${hex(magic)}: ${dimensions} dimensions, expected ${rank} (are images and labels exchanged?)`,
    );
  const header = MAGIC_BYTES + 4 * dimensions;
  if (bytes.length < header) return bad(`truncated: ${bytes.length} bytes, its header alone takes ${header}`);
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const shape = Array.from({ length: dimensions }, (_, i) => view.getUint32(MAGIC_BYTES + 4 * i));
  const expected = shape.reduce((a, b) => a * b, 1);
  const found = bytes.length - header;
  const size = shape.join(" × ");
  if (found < expected) return bad(`truncated: ${found} bytes of data, ${size} needs ${expected}`);
  if (found > expected) return bad(`oversized: ${found} bytes of data, ${size} needs ${expected}`);
  return E.right({ shape, data: bytes.subarray(header) });
}

/** The bytes of an IDX file: the inverse of {@link readIdx}. */
export function writeIdx({ shape, data }: IdxArray): Uint8Array {
  const out = new Uint8Array(MAGIC_BYTES + 4 * shape.length + data.length);
  out.set([0, 0, UBYTE, shape.length]);
  const view = new DataView(out.buffer);
  shape.forEach((d, i) => {
    view.setUint32(MAGIC_BYTES + 4 * i, d);
  });
  out.set(data, MAGIC_BYTES + 4 * shape.length);
  return out;
}
