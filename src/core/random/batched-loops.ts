/**
 * The loops of bulk draws over a table of arguments, one row for each range of draws. The keys of many short streams follow no rule
 * by which a thread could compute them from the number of its part, so they stand in memory.
 */
import { type Local, type WasmFunction, wasmFunction } from "../simd/assembler.ts";
import { i32, repeat, when } from "../simd/instructions.ts";
import { bits, type Loop, normal, uniform } from "./loops.ts";

/** Words of a row: key, counter, address, and the iterations of each loop, which may be none. */
export const FIELDS = { keyHi: 0, keyLo: 1, counterHi: 2, counterLo: 3, address: 4, bits: 5, normal: 6, uniform: 7 };
export const ROW_WORDS = 8;
const WORD = 4;

/** `name(address of the first row, rows)`: runs the loop once for each row, whose words `fields` are its arguments, iterations last. */
const batched = <Args extends readonly Local[]>(
  name: string,
  loop: Loop<Args>,
  fields: { readonly [i in keyof Args]: number },
): WasmFunction =>
  wasmFunction(name, ["i32", "i32"], ([row, rows], local) => {
    const args = fields.map(() => local("i32"));
    return repeat(
      [
        args.map((arg, i) => arg.set(i32.load(row.get, (fields[i] as number) * WORD))),
        when((args.at(-1) as Local).get, loop(args as readonly Local[] as Args, local)),
        row.set(i32.add(row.get, i32.const(ROW_WORDS * WORD))),
      ],
      rows.tee(i32.sub(rows.get, i32.const(1))),
    );
  });

const { keyHi, keyLo, counterHi, counterLo, address } = FIELDS;

/** In the order in which a row needs them. Built when first needed, which most programs never do. */
export const batchedLoops = (): readonly WasmFunction[] => [
  batched("bits", bits, [keyHi, keyLo, counterHi, counterLo, address, FIELDS.bits]),
  batched("normal", normal, [address, FIELDS.normal]),
  batched("uniform", uniform, [address, FIELDS.uniform]),
];
