/** The update of Adam and AdamW over flat buffers in single precision, and the squared norm of a gradient in double precision. */
import { instantiate, type WasmExports, wasmFunction } from "../../core/simd/assembler.ts";
import { type Code, f32, f32x4, f64, f64x2, i32, repeat, v128 } from "../../core/simd/instructions.ts";
import { loopsIn } from "./arena.ts";

/** Elements copied and updated at a time: four buffers of them stay in the cache, and are many enough for the call to pay. */
const CHUNK = 4096;
const FLOAT = 4;
const DOUBLE = 8;
const LANES = 4;
const PAGE = 65536;
/** Bytes at the beginning of a memory, for results. */
const RESULTS = 64;
/** Where a chunk of each buffer lies. */
const [PARAMS, GRADS, MEANS, SQUARES] = [0, 1, 2, 3].map((i) => RESULTS + i * CHUNK * FLOAT) as Four;

/**
 * `update(fours, p, g, m, v, β₁, 1 − β₁, β₂, 1 − β₂, rate/(1 − β₁ᵗ), 1/(1 − β₂ᵗ), ε, decay)`; p … v are addresses. Leaves the largest v
 * of each of four lanes, or NaN, at the beginning of the memory.
 */
const update = wasmFunction(
  "update",
  ["i32", "i32", "i32", "i32", "i32", "f32", "f32", "f32", "f32", "f32", "f32", "f32", "f32"],
  ([fours, params, grads, means, squares, ...numbers], local) => {
    const vectors = numbers.map(() => local("v128"));
    const [beta1, rest1, beta2, rest2, rate, correction, epsilon, decay] = vectors.map(({ get }) => get) as Eight<Code>;
    const [p, g, m, v] = [local("v128"), local("v128"), local("v128"), local("v128")];
    const most = local("v128");
    const { add, sub, mul, div, sqrt, max } = f32x4;
    return [
      most.set(f32x4.splat(f32.const(0))),
      vectors.map((vector, i) => vector.set(f32x4.splat((numbers[i] as (typeof numbers)[number]).get))),
      repeat(
        [
          p.set(v128.load(params.get)),
          g.set(v128.load(grads.get)),
          m.set(add(mul(beta1, v128.load(means.get)), mul(rest1, g.get))),
          v.set(add(mul(beta2, v128.load(squares.get)), mul(mul(rest2, g.get), g.get))),
          v128.store(means.get, m.get),
          v128.store(squares.get, v.get),
          most.set(max(most.get, v.get)),
          v128.store(
            params.get,
            sub(p.get, add(mul(decay, p.get), div(mul(rate, m.get), add(sqrt(mul(v.get, correction)), epsilon)))),
          ),
          ...[params, grads, means, squares].map((at) => at.set(i32.add(at.get, i32.const(LANES * FLOAT)))),
        ],
        fours.tee(i32.sub(fours.get, i32.const(1))),
      ),
      v128.store(i32.const(0), most.get),
    ];
  },
);

type Eight<T> = [T, T, T, T, T, T, T, T];

/** `squares(fours, from, to)`: the sums of squares of `fours` quadruples at `from`, one for each lane, into four doubles at `to`. */
const squares = wasmFunction("squares", ["i32", "i32", "i32"], ([fours, from, to], local) => {
  const [x, low, high] = [local("v128"), local("v128"), local("v128")];
  const { add, mul } = f64x2;
  const read = (offset: number) => f64x2.promote(v128.load64Zero(i32.add(from.get, i32.const(offset))));
  const take = (sum: typeof low, offset: number) => [x.set(read(offset)), sum.set(add(sum.get, mul(x.get, x.get)))];
  return [
    [low, high].map((sum) => sum.set(f64x2.splat(f64.const(0)))),
    repeat(
      [take(low, 0), take(high, 2 * FLOAT), from.set(i32.add(from.get, i32.const(4 * FLOAT)))],
      fours.tee(i32.sub(fours.get, i32.const(1))),
    ),
    v128.store(to.get, low.get),
    v128.store(i32.add(to.get, i32.const(2 * DOUBLE)), high.get),
  ];
});

const linked = loopsIn([update, squares]);

/** Σ x², in four partial sums, in doubles: squares of float32 numbers cannot overflow, so the sum is finite exactly when every x is. */
export function sumOfSquares(x: Float32Array): number {
  const inPlace = linked([x]);
  const fours = x.length >> 2;
  let sums = [0, 0, 0, 0] as Four;
  if (inPlace !== undefined && fours > 0) {
    inPlace.squares?.(fours, x.byteOffset, 0);
    sums = [...new Float64Array(x.buffer, 0, 4)] as Four;
  } else {
    let [a, b, c, d] = sums;
    for (let i = 0; i < 4 * fours; i += 4) {
      a += (x[i] as number) ** 2;
      b += (x[i + 1] as number) ** 2;
      c += (x[i + 2] as number) ** 2;
      d += (x[i + 3] as number) ** 2;
    }
    sums = [a, b, c, d];
  }
  for (let i = 4 * fours; i < x.length; i++) sums[0] += (x[i] as number) ** 2;
  return sums[0] + sums[1] + (sums[2] + sums[3]);
}

type Four = [number, number, number, number];

interface LocalBuffers {
  readonly run: WasmExports;
  readonly results: Float32Array;
  readonly params: Float32Array;
  readonly grads: Float32Array;
  readonly means: Float32Array;
  readonly squares: Float32Array;
}

let local: LocalBuffers | undefined;

function createLocalBuffers(): LocalBuffers {
  const memory = new WebAssembly.Memory({ initial: Math.ceil((RESULTS + 4 * CHUNK * FLOAT) / PAGE) });
  const at = (buffer: number) => new Float32Array(memory.buffer, buffer, CHUNK);
  return {
    run: instantiate([update], memory),
    results: new Float32Array(memory.buffer, 0, LANES),
    params: at(PARAMS),
    grads: at(GRADS),
    means: at(MEANS),
    squares: at(SQUARES),
  };
}

/** Scalars of one update, rounded to single precision; `rate` and `correction` contain the bias corrections. */
export interface AdamNumbers {
  readonly beta1: number;
  readonly beta2: number;
  /** rate/(1 − β₁ᵗ). */
  readonly rate: number;
  /** 1/(1 − β₂ᵗ). */
  readonly correction: number;
  readonly epsilon: number;
  /** Weight decay of one step: rate·λ. */
  readonly decay: number;
}

/**
 * m ← β₁m + (1 − β₁)g, v ← β₂v + (1 − β₂)g², p ← p − (decay·p + rate·m/(√(v·correction) + ε)), every operation rounded to single
 * precision, for elements from `from` to before `to`.
 *
 * @returns The largest v; NaN or ∞ when a gradient is not finite, or its square beyond single precision.
 */
export function adamUpdate(
  params: Float32Array,
  grads: Float32Array,
  means: Float32Array,
  squares: Float32Array,
  from: number,
  to: number,
  { beta1, beta2, rate, correction, epsilon, decay }: AdamNumbers,
): number {
  const numbers = [beta1, 1 - beta1, beta2, 1 - beta2, rate, correction, epsilon, decay] as const;
  const inPlace = linked([params, grads, means, squares]);
  let first = from;
  let most = 0;
  // NaN is the largest of all.
  const read = (results: Float32Array) => {
    most = Math.max(most, ...results);
  };
  if (inPlace !== undefined) {
    const fours = Math.floor((to - from) / LANES);
    const [p, g, m, v] = [params, grads, means, squares].map(({ byteOffset }) => byteOffset + from * FLOAT) as Four;
    if (fours > 0) {
      inPlace.update?.(fours, p, g, m, v, ...numbers);
      read(new Float32Array(params.buffer, 0, LANES));
    }
    // The remainder goes through a copy: the next elements belong to another parameter.
    first = from + LANES * fours;
  }
  local ??= createLocalBuffers();
  const { run } = local;
  for (let i = first; i < to; i += CHUNK) {
    const end = Math.min(i + CHUNK, to);
    local.params.set(params.subarray(i, end));
    local.grads.set(grads.subarray(i, end));
    local.means.set(means.subarray(i, end));
    local.squares.set(squares.subarray(i, end));
    const n = end - i;
    // Lanes beyond the end must not contribute to the maximum.
    local.grads.fill(0, n, n + LANES);
    local.squares.fill(0, n, n + LANES);
    run.update?.(Math.ceil(n / LANES), PARAMS, GRADS, MEANS, SQUARES, ...numbers);
    read(local.results);
    params.set(n === CHUNK ? local.params : local.params.subarray(0, n), i);
    means.set(n === CHUNK ? local.means : local.means.subarray(0, n), i);
    squares.set(n === CHUNK ? local.squares : local.squares.subarray(0, n), i);
  }
  return most;
}
