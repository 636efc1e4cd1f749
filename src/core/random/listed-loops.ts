/**
 * The loops of draws over a list: their arguments stand in a table in memory, an entry for each stretch of a stream. Keys of many short
 * streams follow no rule by which a thread could make them from the number of its part.
 */
import { i32, type Local, repeat, type WasmFunction, wasmFunction, when } from "../simd/assembler.ts";
import { bits, type Loop, normal, uniform } from "./loops.ts";

/** Words of an entry: key, counter, address, and the turns of each loop, which may be none. */
export const FIELDS = { keyHi: 0, keyLo: 1, counterHi: 2, counterLo: 3, address: 4, bits: 5, normal: 6, uniform: 7 };
export const ENTRY_WORDS = 8;
const WORD = 4;

/** `name(address of the first entry, entries)`: a loop for each entry, whose words `fields` are its arguments, turns last. */
const listed = <Args extends readonly Local[]>(
  name: string,
  loop: Loop<Args>,
  fields: { readonly [i in keyof Args]: number },
): WasmFunction =>
  wasmFunction(name, ["i32", "i32"], ([entry, entries], local) => {
    const args = fields.map(() => local("i32"));
    return repeat(
      [
        args.map((arg, i) => arg.set(i32.load(entry.get, (fields[i] as number) * WORD))),
        when((args.at(-1) as Local).get, loop(args as readonly Local[] as Args, local)),
        entry.set(i32.add(entry.get, i32.const(ENTRY_WORDS * WORD))),
      ],
      entries.tee(i32.sub(entries.get, i32.const(1))),
    );
  });

const { keyHi, keyLo, counterHi, counterLo, address } = FIELDS;

/** In the order in which an entry wants them. Written when they are first needed, which most programs never do. */
export const listedLoops = (): readonly WasmFunction[] => [
  listed("bits", bits, [keyHi, keyLo, counterHi, counterLo, address, FIELDS.bits]),
  listed("normal", normal, [address, FIELDS.normal]),
  listed("uniform", uniform, [address, FIELDS.uniform]),
];
