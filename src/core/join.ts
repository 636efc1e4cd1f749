/** One array after another. */
export function joinArrays<T extends { set(part: ArrayLike<number>, at: number): void }>(
  parts: readonly ArrayLike<number>[],
  make: (length: number) => T,
): T {
  const all = make(parts.reduce((n, { length }) => n + length, 0));
  let at = 0;
  for (const part of parts) {
    all.set(part, at);
    at += part.length;
  }
  return all;
}
