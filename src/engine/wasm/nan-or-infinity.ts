/** Whether any of some floats is NaN or +∞, four at a time. */
import { wasmFunction } from "../../core/simd/assembler.ts";
import { f32x4, i32, i32x4, repeat, v128 } from "../../core/simd/instructions.ts";

const VECTOR = 16;
/** Floats of one iteration. */
export const FLOATS_PER_ITERATION = 8;

/** `nanOrInfinity(from, iterations, out)`: 1 at `out` where any is not below +∞, else 0. */
export const nanOrInfinity = wasmFunction("nanOrInfinity", ["i32", "i32", "i32"], ([from, iterations, out], local) => {
  const [a, b, limit] = [local("v128"), local("v128"), local("v128")];
  const below = (at: number) => f32x4.lt(v128.load(from.get, at), limit.get);
  return [
    limit.set(f32x4.const(Number.POSITIVE_INFINITY)),
    a.set(i32x4.const(-1)),
    b.set(i32x4.const(-1)),
    repeat(
      [
        a.set(v128.and(a.get, below(0))),
        b.set(v128.and(b.get, below(VECTOR))),
        from.set(i32.add(from.get, i32.const(2 * VECTOR))),
      ],
      iterations.tee(i32.sub(iterations.get, i32.const(1))),
    ),
    i32.store(out.get, v128.anyTrue(v128.not(v128.and(a.get, b.get)))),
  ];
});
