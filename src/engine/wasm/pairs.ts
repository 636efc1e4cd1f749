/** Sums of neighbours, four at a time. Two floats add up to the same float whether in single or in double precision. */
import { wasmFunction } from "../../core/simd/assembler.ts";
import { f32x4, i32, repeat, v128 } from "../../core/simd/instructions.ts";

const VECTOR = 16;
/** Sums of one iteration. */
export const PAIRS_PER_ITERATION = 4;

/** `pairSums(from, to, iterations)`. */
export const pairSums = wasmFunction("pairSums", ["i32", "i32", "i32"], ([from, to, iterations], local) => {
  const [a, b] = [local("v128"), local("v128")];
  return repeat(
    [
      a.set(v128.load(from.get)),
      b.set(v128.load(from.get, VECTOR)),
      v128.store(to.get, f32x4.add(v128.shuffle(a.get, b.get, [0, 2, 4, 6]), v128.shuffle(a.get, b.get, [1, 3, 5, 7]))),
      from.set(i32.add(from.get, i32.const(2 * VECTOR))),
      to.set(i32.add(to.get, i32.const(VECTOR))),
    ],
    iterations.tee(i32.sub(iterations.get, i32.const(1))),
  );
});
