/** Greyscale PNG images in plain TypeScript, for pictures inside a figure: one channel of 8 bits, stored without compression. */
import { fail } from "../core/errors.ts";
import { joinArrays } from "../core/join.ts";

const CRC = Uint32Array.from({ length: 256 }, (_, n) => {
  let c = n;
  for (let k = 0; k < 8; k++) c = c & 1 ? 0xedb88320 ^ (c >>> 1) : c >>> 1;
  return c;
});

function crc32(bytes: Uint8Array): number {
  let c = 0xffffffff;
  for (const byte of bytes) c = (CRC[(c ^ byte) & 0xff] as number) ^ (c >>> 8);
  return (c ^ 0xffffffff) >>> 0;
}

/** Checksum of a zlib stream (RFC 1950). */
function adler32(bytes: Uint8Array): number {
  let [a, b] = [1, 0];
  for (const byte of bytes) {
    a = (a + byte) % 65521;
    b = (b + a) % 65521;
  }
  return ((b << 16) | a) >>> 0;
}

/** Longest stored block of deflate (RFC 1951). */
const BLOCK = 0xffff;

function zlibStored(bytes: Uint8Array): Uint8Array {
  const blocks = Math.max(1, Math.ceil(bytes.length / BLOCK));
  const out = new Uint8Array(2 + blocks * 5 + bytes.length + 4);
  out.set([0x78, 0x01]);
  let at = 2;
  for (let i = 0; i < blocks; i++) {
    const part = bytes.subarray(i * BLOCK, (i + 1) * BLOCK);
    const n = part.length;
    out.set([i === blocks - 1 ? 1 : 0, n & 255, n >>> 8, ~n & 255, (~n >>> 8) & 255], at);
    out.set(part, at + 5);
    at += 5 + n;
  }
  new DataView(out.buffer).setUint32(at, adler32(bytes));
  return out;
}

function chunk(type: string, data: Uint8Array): Uint8Array {
  const out = new Uint8Array(12 + data.length);
  const view = new DataView(out.buffer);
  view.setUint32(0, data.length);
  for (let i = 0; i < 4; i++) out[4 + i] = type.charCodeAt(i);
  out.set(data, 8);
  view.setUint32(8 + data.length, crc32(out.subarray(4, 8 + data.length)));
  return out;
}

/** The eight bytes that open every PNG file. */
export const PNG_MAGIC: readonly number[] = [0x89, 0x50, 0x4e, 0x47, 0x0d, 0x0a, 0x1a, 0x0a];

/**
 * A PNG file of a greyscale picture.
 *
 * @param grey - `height × width` values of 0 (black) to 255 (white), row by row.
 * @throws `shape` when the values do not fill the picture.
 */
export function encodeGreyPng(grey: Uint8Array, width: number, height: number): Uint8Array {
  if (grey.length !== width * height || width < 1 || height < 1)
    fail("shape", `PNG: ${grey.length} values cannot fill a picture of ${height} × ${width}`);
  const header = new Uint8Array(13);
  const view = new DataView(header.buffer);
  view.setUint32(0, width);
  view.setUint32(4, height);
  header.set([8, 0, 0, 0, 0], 8); // 8 bits, greyscale, deflate, standard filters, not interlaced
  const rows = new Uint8Array(height * (width + 1)); // each row opens with its filter: 0, none
  for (let y = 0; y < height; y++) rows.set(grey.subarray(y * width, (y + 1) * width), y * (width + 1) + 1);
  const parts = [PNG_MAGIC, chunk("IHDR", header), chunk("IDAT", zlibStored(rows)), chunk("IEND", new Uint8Array(0))];
  return joinArrays(parts, (length) => new Uint8Array(length));
}

/** A `data:` address that holds the file itself. */
export function pngDataUri(png: Uint8Array): string {
  let binary = "";
  for (const byte of png) binary += String.fromCharCode(byte);
  return `data:image/png;base64,${btoa(binary)}`;
}
