/** The handlers with which methods run a model: what each changes, and what it leaves alone. */
import * as tf from "@tensorflow/tfjs-core";
import { pipe } from "fp-ts/lib/function.js";
import { beforeAll, describe, expect, it } from "vitest";
import { TiltedError } from "../core/errors.ts";
import { rootKey } from "../core/key.ts";
import { scope } from "../core/scope.ts";
import { simplex } from "../dist/constraints.ts";
import { improper, normal } from "../dist/index.ts";
import { useEngine } from "../engine/engine.ts";
import { factor, model, observe, sample } from "./effects.ts";
import { interpret } from "./interpret.ts";
import { plate } from "./plate.ts";
import { scoreOnly, startImproper, unscored, withPlates, withRows } from "./run-handlers.ts";

beforeAll(async () => {
  await useEngine("wasm");
});

const key = rootKey(1);

/** A latent in a minibatch of 3 of 8 rows, data, a factor. */
const example = model(function* () {
  const mu = yield* sample("mu", normal(0, 1));
  yield* plate("rows", 8, { subsample: 3 }, function* () {
    const z = yield* sample("z", normal(mu, 1));
    yield* observe("x", normal(z, 1), 0.5);
  });
  yield* factor("soft", tf.neg(tf.square(mu)));
});

type Run = ReturnType<typeof interpret>;
const scoredNames = (run: Run) => [...run.sites.values()].flatMap((s) => (s.logProb === undefined ? [] : [s.name]));
const draws = (run: Run) => ["mu", "z"].map((name) => Array.from(run.sites.get(name)?.value?.dataSync() ?? []));
const rows = (run: Run) => Array.from(run.plates.get("rows")?.indices ?? []);

describe("scoreOnly", () => {
  it("computes the log-probabilities that were asked for, and draws the same", () => {
    scope(() => {
      const whole = interpret(example(), { key });
      expect(scoredNames(whole)).toEqual(["mu", "z", "x", "soft"]);
      const factors = interpret(
        pipe(
          example,
          scoreOnly(({ kind }) => kind === "factor"),
        )(),
        { key },
      );
      expect(scoredNames(factors)).toEqual(["soft"]);
      const none = interpret(pipe(example, unscored)(), { key });
      expect(scoredNames(none)).toEqual([]);
      expect([...none.sites.keys()]).toEqual([...whole.sites.keys()]);
      expect(draws(none)).toEqual(draws(whole));
    });
  });
});

describe("rows of plates", () => {
  it("are those of an earlier run, at the same scale", () => {
    scope(() => {
      const first = interpret(example(), { key });
      const again = interpret(pipe(example, withPlates(first.plates))(), { key: rootKey(2) });
      expect(rows(again)).toEqual(rows(first));
      expect(again.plates.get("rows")).toEqual(first.plates.get("rows"));
    });
  });

  it("refuse to be those of a plate of another size", () => {
    const other = new Map([["rows", { name: "rows", size: 9, length: 9, indices: undefined }]]);
    const run = () => scope(() => interpret(pipe(example, withPlates(other))(), { key }));
    expect(run).toThrow(TiltedError);
    expect(run).toThrow(/plate "rows" has size 8 here and 9 elsewhere/);
  });

  it("are chosen once for each plate, and only where a plate is subsampled", () => {
    const asked: unknown[] = [];
    const twice = model(function* () {
      yield* example();
      yield* plate("rows", 8, { subsample: 3 }, function* () {
        yield* sample("again", normal(0, 1));
      });
      yield* plate("all", 2, function* () {
        yield* sample("every", normal(0, 1));
      });
    });
    const chosen = withRows((...plateAsked) => {
      asked.push(plateAsked);
      return Int32Array.of(7, 0, 2);
    });
    scope(() => {
      const run = interpret(pipe(twice, chosen)(), { key });
      expect(rows(run)).toEqual([7, 0, 2]);
      expect(run.plates.get("all")?.length).toBe(2);
      expect(asked).toEqual([["rows", 8, 3]]);
    });
  });

  it("given come before rows chosen", () => {
    scope(() => {
      const first = interpret(example(), { key });
      const both = pipe(
        example,
        withPlates(first.plates),
        withRows(() => Int32Array.of(0, 1, 2)),
      );
      expect(rows(interpret(both(), { key }))).toEqual(rows(first));
    });
  });
});

describe("startImproper", () => {
  const flat = model(function* () {
    yield* plate("rows", 4, function* () {
      yield* sample("w", improper(simplex, [3]));
    });
    yield* sample("m", improper());
  });

  it("draws in the support, ±2 in unconstrained coordinates, for every particle and row", () => {
    expect(() => scope(() => interpret(flat(), { key }))).toThrow(/has no draws/);
    scope(() => {
      const run = interpret(pipe(flat, startImproper)(), { key, particles: 500, depth: 1 });
      const { value, dist, logProb } = run.sites.get("w") ?? {};
      expect([value?.shape, dist?.family, logProb?.shape]).toEqual([[500, 4, 3], "improper", [500, 4]]);
      expect(Array.from(simplex.check(value as tf.Tensor).dataSync())).not.toContain(0);
      const m = run.sites.get("m")?.value?.dataSync() as Float32Array;
      expect([Math.min(...m) > -2, Math.max(...m) < 2, new Set(m).size]).toEqual([true, true, 500]);
    });
  });

  it("leaves proper sites and given values alone", () => {
    scope(() => {
      expect(draws(interpret(pipe(example, startImproper)(), { key }))).toEqual(draws(interpret(example(), { key })));
    });
  });
});
