/** Sums of lagged products of series, for some lags at a time, in double precision: every number is read once for all of these lags. */
import { instantiate, type WasmExports, wasmFunction } from "../../core/simd/assembler.ts";
import { f64x2, i32, repeat, v128 } from "../../core/simd/instructions.ts";

/** Lags that are summed at a time, two to a vector. */
export const LAGS = 16;

/** Numbers at a time: they stay in the first-level cache. */
const CHUNK = 1024;
const DOUBLE = 8;
const VECTOR = 16;
const PAGE = 65536;
/** Addresses of the series, of the series from the first lag on, and of the sums. */
const [SERIES, LAGGED, SUMS] = [0, CHUNK * DOUBLE, (2 * CHUNK + LAGS) * DOUBLE];

/** `lags(count)`: adds x_t·y_{t+j} to sum j, for `count` numbers x from SERIES on and numbers y from LAGGED on. */
const lags = wasmFunction("lags", ["i32"], ([count], local) => {
  const [series, lagged, x] = [local("i32"), local("i32"), local("v128")];
  const sums = Array.from({ length: LAGS / 2 }, () => local("v128"));
  return [
    series.set(i32.const(SERIES)),
    lagged.set(i32.const(LAGGED)),
    sums.map((sum, i) => sum.set(v128.load(i32.const(SUMS), i * VECTOR))),
    repeat(
      [
        x.set(v128.load64Splat(series.get)),
        sums.map((sum, i) => sum.set(f64x2.add(sum.get, f64x2.mul(x.get, v128.load(lagged.get, i * VECTOR))))),
        series.set(i32.add(series.get, i32.const(DOUBLE))),
        lagged.set(i32.add(lagged.get, i32.const(DOUBLE))),
      ],
      count.tee(i32.sub(count.get, i32.const(1))),
    ),
    sums.map((sum, i) => v128.store(i32.const(SUMS), sum.get, i * VECTOR)),
  ];
});

interface LagLoop {
  readonly run: WasmExports;
  readonly series: Float64Array;
  readonly lagged: Float64Array;
  readonly sums: Float64Array;
}

let loop: LagLoop | undefined;

function startLoop(): LagLoop {
  const memory = new WebAssembly.Memory({ initial: Math.ceil((SUMS + LAGS * DOUBLE) / PAGE) });
  return {
    run: instantiate([lags], memory),
    series: new Float64Array(memory.buffer, SERIES, CHUNK),
    lagged: new Float64Array(memory.buffer, LAGGED, CHUNK + LAGS),
    sums: new Float64Array(memory.buffer, SUMS, LAGS),
  };
}

/** Σ over series and t of x_t·x_{t+lag+j}, for j from 0 to before {@link LAGS}. */
export function lagSums(all: readonly Float64Array[], lag: number): Float64Array {
  loop ??= startLoop();
  const { run, series, lagged, sums } = loop;
  sums.fill(0);
  for (const x of all) {
    for (let from = 0; from < x.length - lag; from += CHUNK) {
      const count = Math.min(CHUNK, x.length - lag - from);
      series.set(x.subarray(from, from + count));
      const rest = x.subarray(from + lag, from + lag + count + LAGS);
      lagged.set(rest);
      // Beyond its end a series counts as zero.
      lagged.fill(0, rest.length, count + LAGS);
      run.lags?.(count);
    }
  }
  return sums.slice();
}
