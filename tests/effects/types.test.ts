/** What the compiler knows: sites, guides and conditioning. Checked by `npm run types`; each error named here must occur. */
import type * as tf from "@tensorflow/tfjs-core";
import { pipe } from "fp-ts/lib/function.js";
import { describe, expectTypeOf, it } from "vitest";
import type { NdArray } from "../../src/core/array.ts";
import type { Distribution } from "../../src/dist/distribution.ts";
import {
  deterministic,
  type FactorEffect,
  factor,
  type Model,
  model,
  observe,
  type PlateEffect,
  param,
  sample,
} from "../../src/effects/effects.ts";
import { block, condition, intervene, scope, substitute, tilt, uncondition } from "../../src/effects/handlers.ts";
import { plate } from "../../src/effects/plate.ts";
import type {
  DeterministicsOf,
  EffectsOf,
  GuideFits,
  IsNormalized,
  LatentsOf,
  ObservedOf,
  ParamsOf,
  PlatesOf,
  SiteError,
} from "../../src/effects/sites.ts";
import type { Trace } from "../../src/effects/trace.ts";

declare const d: Distribution;
declare const energy: (z: tf.Tensor) => tf.Tensor;

const m = model(function* (x: tf.Tensor, k: number) {
  const w = yield* param("w", k);
  const mu = yield* sample("mu", d);
  yield* plate("data", 3, function* () {
    const z = yield* sample("z", d);
    yield* observe("x", d, x);
    yield* deterministic("double", z);
  });
  return [mu, w] as const;
});

type E = EffectsOf<typeof m>;

describe("static types", () => {
  it("reads the sites off the generator", () => {
    expectTypeOf<LatentsOf<E>>().toEqualTypeOf<"mu" | "z">();
    expectTypeOf<ObservedOf<E>>().toEqualTypeOf<"x">();
    expectTypeOf<ParamsOf<E>>().toEqualTypeOf<"w">();
    expectTypeOf<PlatesOf<E>>().toEqualTypeOf<"data">();
    expectTypeOf<DeterministicsOf<E>>().toEqualTypeOf<"double">();
    expectTypeOf<IsNormalized<E>>().toEqualTypeOf<true>();
    expectTypeOf<Parameters<typeof m>>().toEqualTypeOf<[x: tf.Tensor, k: number]>();
    expectTypeOf<Trace<E>["latents"]>().toEqualTypeOf<{ readonly mu: NdArray; readonly z: NdArray }>();
  });

  it("moves conditioned sites from latent to observed", () => {
    const c = () => pipe(m, condition({ mu: 1 }));
    type C = EffectsOf<ReturnType<typeof c>>;
    expectTypeOf<LatentsOf<C>>().toEqualTypeOf<"z">();
    expectTypeOf<ObservedOf<C>>().toEqualTypeOf<"x" | "mu">();
    const u = () => pipe(c(), uncondition());
    type U = EffectsOf<ReturnType<typeof u>>;
    expectTypeOf<LatentsOf<U>>().toEqualTypeOf<"z" | "x" | "mu">();
    const x = () => pipe(c(), uncondition("x"));
    expectTypeOf<LatentsOf<EffectsOf<ReturnType<typeof x>>>>().toEqualTypeOf<"z" | "x">();
    expectTypeOf<ObservedOf<EffectsOf<ReturnType<typeof x>>>>().toEqualTypeOf<"mu">();
  });

  it("refuses sites that the model does not have", () => {
    // @ts-expect-error "condition: the model has no latent site 'nu'"
    void (() => pipe(m, condition({ nu: 1 })));
    // @ts-expect-error x is observed already
    void (() => pipe(m, condition({ x: 1 })));
    // @ts-expect-error "substitute: the model has no latent site or parameter 'v'"
    void (() => pipe(m, substitute({ v: 1 })));
    // @ts-expect-error "tilt: the model has no site 'y'"
    void (() => pipe(m, tilt("y", energy)));
    // @ts-expect-error "block: the model has no site 'y'"
    void (() => pipe(m, block("y")));
    // @ts-expect-error "uncondition: the model has no observed site 'z'"
    void (() => pipe(m, uncondition("z")));
    // @ts-expect-error "intervene: the model has no site 'w'"
    void (() => pipe(m, intervene({ w: 1 })));
    void (() => pipe(m, substitute({ w: 1, mu: 2 })));
  });

  it("keeps track of what handlers change", () => {
    const tilted = () => pipe(m, tilt("z", energy));
    type T = EffectsOf<ReturnType<typeof tilted>>;
    expectTypeOf<IsNormalized<T>>().toEqualTypeOf<false>();
    expectTypeOf<Extract<T, FactorEffect>["name"]>().toEqualTypeOf<"tilt(z)">();
    const scoped = () => pipe(m, scope("a"));
    expectTypeOf<LatentsOf<EffectsOf<ReturnType<typeof scoped>>>>().toEqualTypeOf<"a/mu" | "a/z">();
    const blocked = () => pipe(m, block("z"));
    expectTypeOf<LatentsOf<EffectsOf<ReturnType<typeof blocked>>>>().toEqualTypeOf<"mu">();
    const done = () => pipe(m, intervene({ z: 0 }));
    expectTypeOf<LatentsOf<EffectsOf<ReturnType<typeof done>>>>().toEqualTypeOf<"mu">();
    expectTypeOf<DeterministicsOf<EffectsOf<ReturnType<typeof done>>>>().toEqualTypeOf<"double" | "z">();
  });

  it("says which site a guide misses or adds", () => {
    const guide = model(function* () {
      yield* sample("mu", d);
      yield* sample("w", d);
    });
    type G = EffectsOf<typeof guide>;
    expectTypeOf<GuideFits<G, E>>().toEqualTypeOf<
      SiteError<"the guide misses the latent site 'z'" | "the model has no latent site 'w'">
    >();
    expectTypeOf<GuideFits<E, E>>().toBeUnknown();
  });

  it("nests models, and falls back to string for names built at run time", () => {
    const outer = model(function* (x: tf.Tensor) {
      yield* m(x, 1);
      yield* factor(1);
      yield* sample("top", d);
    });
    expectTypeOf<LatentsOf<EffectsOf<typeof outer>>>().toEqualTypeOf<"mu" | "z" | "top">();
    expectTypeOf<IsNormalized<EffectsOf<typeof outer>>>().toEqualTypeOf<false>();
    const dynamic = model(function* (n: number) {
      for (let i = 0; i < n; i++) yield* sample(`z${i}` as string, d);
    });
    expectTypeOf<LatentsOf<EffectsOf<typeof dynamic>>>().toEqualTypeOf<string>();
    void (() => pipe(dynamic, condition({ z7: 1 })));
    expectTypeOf(m).toExtend<Model<[tf.Tensor, number], E, unknown>>();
    expectTypeOf<Extract<E, PlateEffect>["size"]>().toEqualTypeOf<number>();
  });
});
