/** Run-time errors: each names the site, what was found and what was expected. */
import * as tf from "@tensorflow/tfjs-core";
import { pipe } from "fp-ts/lib/function.js";
import { beforeAll, describe, expect, it } from "vitest";
import { ndarray } from "../../src/core/array.ts";
import { type ErrorCode, TiltedError } from "../../src/core/errors.ts";
import { bernoulli, normal } from "../../src/dist/index.ts";
import { factor, type Model, model, observe, sample } from "../../src/effects/effects.ts";
import { condition, substitute, tilt } from "../../src/effects/handlers.ts";
import { plate } from "../../src/effects/plate.ts";
import { trace } from "../../src/effects/trace.ts";
import { useEngine } from "../../src/engine/engine.ts";

beforeAll(async () => {
  await useEngine("wasm");
});

function expectError(body: () => unknown, code: ErrorCode, message: RegExp, site?: string) {
  const before = tf.memory().numTensors;
  let caught: unknown;
  try {
    body();
  } catch (error) {
    caught = error;
  }
  expect(caught).toBeInstanceOf(TiltedError);
  const error = caught as TiltedError;
  expect([error.code, error.message]).toEqual([code, expect.stringMatching(message)]);
  if (site !== undefined) expect(error.site).toBe(site);
  expect(tf.memory().numTensors).toBe(before);
}

const run = (m: Model<[], never, unknown> | Model) => trace(m as Model<[]>, { seed: 1 });

describe("errors of programs", () => {
  it("duplicate names", () => {
    const m = model(function* () {
      yield* sample("z", normal(0, 1));
      yield* sample("z", normal(0, 1));
    });
    expectError(() => run(m), "duplicate-site", /two sites are named "z"/, "z");
  });

  it("no seed", () => {
    const m = model(function* () {
      yield* sample("z", normal(0, 1));
    });
    expectError(() => trace(m), "no-seed", /"z" needs randomness/, "z");
  });

  it("a batch that no plate declares", () => {
    const m = model(function* () {
      yield* sample("z", normal(tf.zeros([3]), 1));
    });
    expectError(() => run(m), "shape", /site "z" has batch shape \[3\] but lies in no plate.*event\(n\)/, "z");
    const wrong = model(function* () {
      yield* plate("rows", 4, function* () {
        yield* sample("z", normal(tf.zeros([3]), 1));
      });
    });
    expectError(() => run(wrong), "shape", /"rows" \(4\).*\[4\] is expected/, "z");
  });

  it("data of another shape than the model's", () => {
    const m = model(function* () {
      yield* plate("rows", 4, function* () {
        yield* observe("x", normal(tf.zeros([4, 2]), 1).event(1), tf.zeros([4, 3]));
      });
    });
    expectError(() => run(m), "shape", /site "x".*\[3\].*\[2\]/, "x");
    const rows = model(function* () {
      yield* plate("rows", 4, function* () {
        yield* observe("x", normal(0, 1), tf.zeros([5]));
      });
    });
    expectError(() => run(rows), "shape", /site "x": the value has shape \[5\], expected plates \[4\]/, "x");
  });

  it("plates of different size under one name, and plates in themselves", () => {
    const m = model(function* () {
      yield* plate("rows", 4, function* () {});
      yield* plate("rows", 5, function* () {});
    });
    expectError(() => run(m), "plate", /plate "rows" has size 5 here and 4 elsewhere/, "rows");
    const itself = model(function* () {
      yield* plate("rows", 4, function* () {
        yield* plate("rows", 4, function* () {});
      });
    });
    expectError(() => run(itself), "plate", /plate "rows" encloses itself/);
    const none = model(function* () {
      yield* plate("rows", 0, function* () {});
    });
    expectError(() => run(none), "plate", /size must be a whole number of at least 1, got 0/);
    const gathered = model(function* () {
      yield* plate("rows", 4, { subsample: 2 }, function* ({ gather }) {
        gather(ndarray(new Float32Array(5)));
      });
    });
    expectError(() => run(gathered), "plate", /plate\("rows"\) has size 4, but axis 0 of the data has 5 rows/);
  });

  it("an observed value outside the support", () => {
    const m = model(function* () {
      yield* observe("x", bernoulli({ probs: 0.5 }), 0.3);
    });
    expectError(() => run(m), "support", /observed value of "x" lies outside the support of bernoulli/, "x");
  });

  it("a log-probability that is no number", () => {
    const m = model(function* () {
      yield* factor("f", Number.NaN);
    });
    expectError(() => run(m), "non-finite", /the log-probability of "f" is NaN/, "f");
    const impossible = model(function* () {
      yield* factor("hard", Number.NEGATIVE_INFINITY);
    });
    expect(run(impossible).logDensity).toBe(Number.NEGATIVE_INFINITY);
  });

  it("names that the model does not have, when the compiler could not see them", () => {
    const m = model(function* () {
      yield* sample("z" as string, normal(0, 1));
    });
    expectError(() => run(pipe(m, condition({ y: 1 }))), "extra-site", /condition: .*no site "y".*"z"/, "y");
    expectError(() => run(pipe(m, substitute({ y: 1 }))), "extra-site", /substitute: .*no site "y"/, "y");
    expectError(() => run(pipe(m, tilt("y", tf.square))), "missing-site", /tilt: the model has no site "y"/, "y");
  });

  it("something yielded that is no effect", () => {
    const m = model(function* () {
      yield sample("z", normal(0, 1)) as never;
    });
    expectError(() => run(m), "argument", /yielded something that is no effect.*yield\*/);
  });

  it("a failure can be caught inside the model, at the line that asked", () => {
    const m = model(function* () {
      try {
        yield* factor("f", Number.NaN);
      } catch {
        yield* factor("g", 1);
      }
    });
    expect(run(m).logDensity).toBe(1);
  });
});
