/**
 * The product of two matrices: blocks are packed into panels, and tiles of 4 × 8 elements are kept in registers while they
 * grow (Goto & van de Geijn 2008). Packing reads either orientation, so a transposed factor costs nothing.
 */
import { type Local, wasmFunction } from "../../core/simd/assembler.ts";
import { type Code, f32, f32x4, i32, repeat, v128, when } from "../../core/simd/instructions.ts";
import type { NewLocal } from "../../core/simd/vector-math.ts";

/** Rows of a tile. */
export const TILE_ROWS = 4;
/** Columns of a tile. */
export const TILE_COLUMNS = 8;
const VECTORS = TILE_COLUMNS / 4;
const VECTOR = 16;
const FLOAT = 4;

const { add, sub, mul } = i32;
const int = i32.const;
const advance = (pointer: Local, by: Code) => pointer.set(add(pointer.get, by));
const down = (counter: Local) => counter.tee(sub(counter.get, int(1)));
const bytes = (count: Code) => i32.shl(count, int(2));

/**
 * `pack{width}(from, to, depth, count, stride)`: `count` columns of a matrix whose rows, `depth` of them, lie `stride` floats
 * apart, into panels of `width` columns, row by row; the last panel is filled up with zeros.
 */
const packRows = (width: 4 | 8) =>
  wasmFunction(`packRows${width}`, ["i32", "i32", "i32", "i32", "i32"], ([from, to, depth, count, stride], local) => {
    const [source, k, j] = [local("i32"), local("i32"), local("i32")];
    const vectors = Array.from({ length: width / 4 }, (_, i) => i * VECTOR);
    const full = repeat(
      [
        vectors.map((at) => v128.store(to.get, v128.load(source.get, at), at)),
        advance(source, bytes(stride.get)),
        advance(to, int(width * FLOAT)),
      ],
      down(k),
    );
    const rest = repeat(
      [
        vectors.map((at) => v128.store(to.get, f32x4.const(0), at)),
        j.set(int(0)),
        repeat(
          [f32.store(add(to.get, bytes(j.get)), f32.load(add(source.get, bytes(j.get)))), j.set(add(j.get, int(1)))],
          i32.ltU(j.get, count.get),
        ),
        advance(source, bytes(stride.get)),
        advance(to, int(width * FLOAT)),
      ],
      down(k),
    );
    const start = [source.set(from.get), k.set(depth.get)];
    return [
      when(
        i32.geU(count.get, int(width)),
        repeat(
          [start, full, advance(from, int(width * FLOAT)), count.set(sub(count.get, int(width)))],
          i32.geU(count.get, int(width)),
        ),
      ),
      when(count.get, [start, rest]),
    ];
  });

/** 4 × 4 floats, transposed. */
function transposed(rows: readonly Code[], local: () => Local): readonly [Code, readonly Code[]] {
  const x = rows.map(() => local());
  const half = rows.map(() => local());
  const [a, b, c, d] = x.map((row) => row.get) as [Code, Code, Code, Code];
  const [p, q, r, s] = half.map((row) => row.get) as [Code, Code, Code, Code];
  return [
    [
      x.map((row, i) => row.set(rows[i] as Code)),
      half[0]?.set(v128.shuffle(a, b, [0, 4, 1, 5])) ?? [],
      half[1]?.set(v128.shuffle(c, d, [0, 4, 1, 5])) ?? [],
      half[2]?.set(v128.shuffle(a, b, [2, 6, 3, 7])) ?? [],
      half[3]?.set(v128.shuffle(c, d, [2, 6, 3, 7])) ?? [],
    ],
    [
      v128.shuffle(p, q, [0, 1, 4, 5]),
      v128.shuffle(p, q, [2, 3, 6, 7]),
      v128.shuffle(r, s, [0, 1, 4, 5]),
      v128.shuffle(r, s, [2, 3, 6, 7]),
    ],
  ];
}

/**
 * `packColumns{width}(from, to, depth, count, stride)`: the same panels of the transpose: `count` rows, `stride` floats apart,
 * of `depth` elements each.
 */
const packColumns = (width: 4 | 8) =>
  wasmFunction(
    `packColumns${width}`,
    ["i32", "i32", "i32", "i32", "i32"],
    ([from, to, depth, count, stride], local) => {
      const [source, k, j, row] = [local("i32"), local("i32"), local("i32"), local("i32")];
      const rows = Array.from({ length: width }, () => local("i32"));
      const one = [
        rows.map((pointer, i) => f32.store(to.get, f32.load(pointer.get), i * FLOAT)),
        rows.map((pointer) => advance(pointer, int(FLOAT))),
        advance(to, int(width * FLOAT)),
      ];
      const four = Array.from({ length: width / 4 }, (_, g) => {
        const [prepare, columns] = transposed(
          rows.slice(4 * g, 4 * g + 4).map((pointer) => v128.load(pointer.get)),
          () => local("v128"),
        );
        return [prepare, columns.map((column, i) => v128.store(to.get, column, i * width * FLOAT + g * VECTOR))];
      });
      const full = [
        row.set(from.get),
        rows.map((pointer) => [pointer.set(row.get), advance(row, bytes(stride.get))]),
        k.set(depth.get),
        when(
          i32.geU(k.get, int(4)),
          repeat(
            [
              four,
              rows.map((pointer) => advance(pointer, int(VECTOR))),
              advance(to, int(4 * width * FLOAT)),
              k.set(sub(k.get, int(4))),
            ],
            i32.geU(k.get, int(4)),
          ),
        ),
        when(k.get, repeat(one, down(k))),
      ];
      const rest = repeat(
        [
          Array.from({ length: width / 4 }, (_, i) => v128.store(to.get, f32x4.const(0), i * VECTOR)),
          row.set(source.get),
          j.set(int(0)),
          repeat(
            [
              f32.store(add(to.get, bytes(j.get)), f32.load(row.get)),
              advance(row, bytes(stride.get)),
              j.set(add(j.get, int(1))),
            ],
            i32.ltU(j.get, count.get),
          ),
          advance(source, int(FLOAT)),
          advance(to, int(width * FLOAT)),
        ],
        down(k),
      );
      return [
        when(
          i32.geU(count.get, int(width)),
          repeat([full, from.set(row.get), count.set(sub(count.get, int(width)))], i32.geU(count.get, int(width))),
        ),
        when(count.get, [source.set(from.get), k.set(depth.get), rest]),
      ];
    },
  );

/** A tile of the product in registers: row by row, its vectors of columns. */
type Tile = readonly (readonly Local[])[];

/**
 * Adds to a tile the products of a panel of rows at `a` and one of columns at `b`, over `k` steps: all three move to the end.
 *
 * @param fused - See {@link multiply}.
 */
function sumProducts(tile: Tile, a: Local, b: Local, k: Local, fused: boolean, local: NewLocal): Code {
  const parts = Array.from({ length: VECTORS }, () => local("v128"));
  const factor = local("v128");
  const plus = (total: Code, x: Code, y: Code): Code =>
    fused ? f32x4.relaxedMadd(x, y, total) : f32x4.add(total, f32x4.mul(x, y));
  // Not unrolled: compilers hoist the loads of all unrolled steps, and run out of registers.
  const step: Code = [
    parts.map((part, v) => part.set(v128.load(b.get, v * VECTOR))),
    tile.map((sums, r) => [
      factor.set(v128.load32Splat(a.get, r * FLOAT)),
      sums.map((sum, v) => sum.set(plus(sum.get, factor.get, (parts[v] as Local).get))),
    ]),
    advance(a, int(TILE_ROWS * FLOAT)),
    advance(b, int(TILE_COLUMNS * FLOAT)),
  ];
  return repeat(step, down(k));
}

/** Writes a tile into rows that begin at `target` and lie `apart` bytes apart, or adds it to them. */
const storeTile = (tile: Tile, target: Local, apart: Local, added: boolean, pointer: Local): Code =>
  tile.map((sums, r) => [
    pointer.set(r === 0 ? target.get : add(target.get, mul(apart.get, int(r)))),
    sums.map((sum, v) => {
      const whole = added ? f32x4.add(v128.load(pointer.get, v * VECTOR), sum.get) : sum.get;
      return v128.store(pointer.get, whole, v * VECTOR);
    }),
  ]);

/** Copies `height` rows of `width` elements of the tile in `scratch` to rows `stride` floats apart from `to` on, or adds them. */
function copyTile(
  scratch: Local,
  to: Local,
  stride: Local,
  [height, width]: readonly [Code, Code],
  accumulate: Local,
  local: NewLocal,
): Code {
  const [row, i, j] = [local("i32"), local("i32"), local("i32")];
  const cell = add(row.get, bytes(j.get));
  const computed = f32.load(add(add(scratch.get, mul(i.get, int(TILE_COLUMNS * FLOAT))), bytes(j.get)));
  const copyRow = repeat(
    [
      when(accumulate.get, f32.store(cell, f32.add(f32.load(cell), computed))),
      when(i32.eqz(accumulate.get), f32.store(cell, computed)),
      j.set(add(j.get, int(1))),
    ],
    i32.ltU(j.get, width),
  );
  return [
    i.set(int(0)),
    repeat(
      [row.set(add(to.get, mul(i.get, bytes(stride.get)))), j.set(int(0)), copyRow, i.set(add(i.get, int(1)))],
      i32.ltU(i.get, height),
    ),
  ];
}

/** The smaller of a number and a constant: to be set before it is got. */
function atMost(x: Code, most: number, local: NewLocal): { readonly set: Code; readonly get: Code } {
  const it = local("i32");
  return { set: [it.set(x), when(i32.gtU(it.get, int(most)), it.set(int(most)))], get: it.get };
}

/**
 * `multiply(left, right, out, rows, columns, depth, stride, accumulate, scratch)`: panels of four rows times panels of eight
 * columns into `out`, whose rows lie `stride` floats apart; added to what is there if `accumulate`. Tiles that stick out are
 * computed in `scratch` (one tile).
 *
 * @param fused Rounds x·y + z once, at twice the speed, where the machine can; else the product and the sum are rounded apart.
 */
const multiply = (fused: boolean) =>
  wasmFunction(
    "multiply",
    ["i32", "i32", "i32", "i32", "i32", "i32", "i32", "i32", "i32"],
    ([left, right, out, rows, columns, depth, stride, accumulate, scratch], local) => {
      const number = () => local("i32");
      const [a, b, k] = [number(), number(), number()];
      const [column, row, firstRow, target, apart, full] = [number(), number(), number(), number(), number(), number()];
      const tile = Array.from({ length: TILE_ROWS }, () => Array.from({ length: VECTORS }, () => local("v128")));
      const pointer = number();
      const height = atMost(row.get, TILE_ROWS, local);
      const width = atMost(column.get, TILE_COLUMNS, local);
      const computeTile: Code = [
        b.set(right.get),
        k.set(depth.get),
        tile.map((sums) => sums.map((sum) => sum.set(f32x4.const(0)))),
        sumProducts(tile, a, b, k, fused, local),
      ];
      const panel: Code = [
        computeTile,
        full.set(i32.and(i32.geU(row.get, int(TILE_ROWS)), i32.geU(column.get, int(TILE_COLUMNS)))),
        target.set(firstRow.get),
        apart.set(bytes(stride.get)),
        when(i32.eqz(full.get), [target.set(scratch.get), apart.set(int(TILE_COLUMNS * FLOAT))]),
        when(i32.and(full.get, accumulate.get), storeTile(tile, target, apart, true, pointer)),
        when(i32.eqz(i32.and(full.get, accumulate.get)), storeTile(tile, target, apart, false, pointer)),
        when(i32.eqz(full.get), [
          height.set,
          width.set,
          copyTile(scratch, firstRow, stride, [height.get, width.get], accumulate, local),
        ]),
        firstRow.set(add(firstRow.get, mul(bytes(stride.get), int(TILE_ROWS)))),
        height.set,
        row.set(sub(row.get, height.get)),
      ];
      const panels: Code = [
        a.set(left.get),
        row.set(rows.get),
        firstRow.set(out.get),
        repeat(panel, row.get),
        advance(right, mul(depth.get, int(TILE_COLUMNS * FLOAT))),
        advance(out, int(TILE_COLUMNS * FLOAT)),
        width.set,
        column.set(sub(column.get, width.get)),
      ];
      return [column.set(columns.get), repeat(panels, column.get)];
    },
  );

export const gemmLoops = (fused: boolean) => [
  packRows(TILE_ROWS),
  packRows(TILE_COLUMNS),
  packColumns(TILE_ROWS),
  packColumns(TILE_COLUMNS),
  multiply(fused),
];
