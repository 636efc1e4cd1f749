/** The library has none of the faults of the table: it is right, or refuses and says what to write instead. */
import * as tf from "@tensorflow/tfjs-core";
import { beforeAll, describe, expect, it } from "vitest";
import { TiltedError } from "../../src/core/errors.ts";
import { scope } from "../../src/core/scope.ts";
import { isTested, startTestedEngine } from "../support/engine.ts";
import { REFUSALS } from "./traps/refusals.ts";
import { error, values } from "./traps/trap.ts";
import { TRAPS } from "./traps.ts";

beforeAll(async () => {
  await startTestedEngine();
});

const ROUNDING = 1e-5;

describe("repaired", () => {
  it.each(TRAPS.filter(isTested).map((trap) => [trap.name, trap] as const))("%s", (_, trap) => {
    const before = tf.memory().numTensors;
    const found = scope(() => values(trap.run()));
    expect(error(found, trap.truth), `${found} for ${trap.truth}`).toBeLessThan(ROUNDING);
    expect(tf.memory().numTensors).toBe(before);
  });
});

describe("refused", () => {
  it.each(REFUSALS.filter(isTested).map((refusal) => [refusal.name, refusal] as const))("%s", (_, refusal) => {
    const before = tf.memory().numTensors;
    let caught: unknown;
    try {
      scope(() => values(refusal.run()));
    } catch (thrown) {
      caught = thrown;
    }
    expect(caught).toBeInstanceOf(TiltedError);
    expect((caught as TiltedError).code).toBe(refusal.code);
    expect((caught as TiltedError).message).toMatch(refusal.says);
    expect(tf.memory().numTensors).toBe(before);
  });
});
