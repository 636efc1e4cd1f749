/** The update of gradient descent with momentum, and the scaling of a gradient, over flat buffers, in double precision. */
import { wasmFunction } from "../../core/simd/assembler.ts";
import { type Code, f32x4, f64x2, i32, repeat, v128 } from "../../core/simd/instructions.ts";
import { loopsIn } from "./arena.ts";

const FLOAT = 4;

type Direction = (gradient: Code, velocity: Code, momentum: Code) => Code;

/** `name(pairs, p, g, u, rate, momentum)`, p, g and u addresses: u ← momentum·u + g, then p ← p − rate·direction. */
const loop = (name: string, direction: Direction, velocity: boolean) =>
  wasmFunction(
    name,
    ["i32", "i32", "i32", "i32", "f64", "f64"],
    ([pairs, params, grads, velocities, ...numbers], local) => {
      const vectors = numbers.map(() => local("v128"));
      const [rate, momentum] = vectors.map(({ get }) => get) as [Code, Code];
      const [g, u] = [local("v128"), local("v128")];
      const { add, sub, mul } = f64x2;
      const read = (at: typeof pairs) => f64x2.promote(v128.load64Zero(at.get));
      const write = (at: typeof pairs, value: Code) => v128.store64Low(at.get, f32x4.demote(value));
      return [
        vectors.map((vector, i) => vector.set(f64x2.splat((numbers[i] as (typeof numbers)[number]).get))),
        repeat(
          [
            g.set(read(grads)),
            ...(velocity ? [u.set(add(mul(momentum, read(velocities)), g.get)), write(velocities, u.get)] : []),
            write(params, sub(read(params), mul(rate, direction(g.get, u.get, momentum)))),
            ...[params, grads, velocities].map((at) => at.set(i32.add(at.get, i32.const(2 * FLOAT)))),
          ],
          pairs.tee(i32.sub(pairs.get, i32.const(1))),
        ),
      ];
    },
  );

/** `scale(pairs, x, factor)`: x ← factor·x. */
const scale = wasmFunction("scale", ["i32", "i32", "f64"], ([pairs, x, number], local) => {
  const factor = local("v128");
  return [
    factor.set(f64x2.splat(number.get)),
    repeat(
      [
        v128.store64Low(x.get, f32x4.demote(f64x2.mul(f64x2.promote(v128.load64Zero(x.get)), factor.get))),
        x.set(i32.add(x.get, i32.const(2 * FLOAT))),
      ],
      pairs.tee(i32.sub(pairs.get, i32.const(1))),
    ),
  ];
});

const linked = loopsIn([
  loop("plain", (g) => g, false),
  loop("heavy", (_, u) => u, true),
  loop("nesterov", (g, u, momentum) => f64x2.add(g, f64x2.mul(momentum, u)), true),
  scale,
]);

/** Numbers of one update. */
export interface SgdNumbers {
  readonly rate: number;
  readonly momentum: number;
  readonly nesterov: boolean;
}

/**
 * u ← momentum·u + g, p ← p − rate·u, or with `nesterov` p ← p − rate·(g + momentum·u); without velocities p ← p − rate·g. In SIMD
 * where the buffers lie in one {@link arena}, with the same bits.
 */
export function sgdUpdate(
  params: Float32Array,
  grads: Float32Array,
  velocities: Float32Array | undefined,
  { rate, momentum, nesterov }: SgdNumbers,
): void {
  const run = linked(velocities === undefined ? [params, grads] : [params, grads, velocities]);
  const pairs = run === undefined ? 0 : params.length >> 1;
  const name = velocities === undefined ? "plain" : nesterov ? "nesterov" : "heavy";
  if (pairs > 0)
    run?.[name]?.(pairs, params.byteOffset, grads.byteOffset, (velocities ?? grads).byteOffset, rate, momentum);
  for (let i = 2 * pairs; i < params.length; i++) {
    const g = grads[i] as number;
    let direction = g;
    if (velocities !== undefined) {
      const u = momentum * (velocities[i] as number) + g;
      velocities[i] = u;
      direction = nesterov ? g + momentum * u : u;
    }
    params[i] = (params[i] as number) - rate * direction;
  }
}

/** x ← factor·x, likewise. */
export function scaleInPlace(x: Float32Array, factor: number): void {
  const run = linked([x]);
  const pairs = run === undefined ? 0 : x.length >> 1;
  if (pairs > 0) run?.scale?.(pairs, x.byteOffset, factor);
  for (let i = 2 * pairs; i < x.length; i++) x[i] = (x[i] as number) * factor;
}
