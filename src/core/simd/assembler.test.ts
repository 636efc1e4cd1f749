/** The assembler: encodings of numbers, loops, conditions, shared memory. */
import { describe, expect, it } from "vitest";
import { assemble, instantiate, wasmFunction } from "./assembler.ts";
import { f32, f64, f64x2, i32, repeat, v128, when } from "./instructions.ts";

const memory = () => new WebAssembly.Memory({ initial: 1 });

describe("assembler", () => {
  it("encodes whole numbers of any size", () => {
    const numbers = [0, 1, -1, 63, 64, -64, -65, 127, 128, 8191, 8192, -8193, 2 ** 31 - 1, -(2 ** 31), 0x1bd11bda];
    const m = memory();
    const store = wasmFunction("store", ["i32"], ([at]) =>
      numbers.map((n, i) => i32.store(at.get, i32.const(n), 4 * i)),
    );
    instantiate([store], m).store?.(1000);
    expect([...new Int32Array(m.buffer, 1000, numbers.length)]).toEqual(numbers);
  });

  it("stores far from an address, and keeps floats", () => {
    const m = memory();
    const store = wasmFunction("store", ["f64"], ([x]) => [
      f64.store(i32.const(0), x.get, 60_000),
      f32.store(i32.const(4), f32.const(0.1), 0),
      v128.store(i32.const(16), f64x2.const(Math.PI)),
    ]);
    instantiate([store], m).store?.(-0.1);
    expect(new DataView(m.buffer).getFloat64(60_000, true)).toBe(-0.1);
    expect(new Float32Array(m.buffer)[1]).toBe(Math.fround(0.1));
    expect([...new Float64Array(m.buffer, 16, 2)]).toEqual([Math.PI, Math.PI]);
  });

  it("repeats, chooses, and keeps variables of all types apart", () => {
    const m = memory();
    const count = wasmFunction("count", ["i32"], ([n], local) => {
      const [x, skip, sum] = [local("f64"), local("i32"), local("f64")];
      return [
        x.set(f64.const(1)),
        repeat(
          [
            skip.set(i32.and(n.get, i32.const(1))),
            when(i32.eqz(skip.get), sum.set(f64.add(sum.get, x.get))),
            x.set(f64.mul(x.get, f64.const(10))),
          ],
          n.tee(i32.sub(n.get, i32.const(1))),
        ),
        f64.store(i32.const(0), sum.get),
      ];
    });
    instantiate([count], m).count?.(4);
    expect(new Float64Array(m.buffer)[0]).toBe(101);
  });

  it("links to memory that threads share", () => {
    const shared = new WebAssembly.Memory({ initial: 1, maximum: 2, shared: true });
    const store = wasmFunction("store", [], () => i32.store(i32.const(0), i32.const(7)));
    instantiate([store], shared).store?.();
    expect(new Int32Array(shared.buffer)[0]).toBe(7);
    expect(WebAssembly.validate(assemble([store]))).toBe(true);
  });
});
