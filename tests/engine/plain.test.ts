/** The faults of the table are there: plain tfjs, with the gradients that @tensorflow/tfjs registers, has every one. */
import * as tf from "@tensorflow/tfjs-core";
import "@tensorflow/tfjs-core/dist/register_all_gradients.js";
import "@tensorflow/tfjs-backend-wasm";
import { beforeAll, describe, expect, it } from "vitest";
import { quietly } from "../../src/engine/quiet.ts";
import { error, values } from "./traps/trap.ts";
import { TRAPS } from "./traps.ts";

beforeAll(async () => {
  await tf.setBackend("wasm");
});

/** Beyond rounding: what the repaired engine meets with room to spare. */
const WRONG = 1e-3;

describe("plain tfjs", () => {
  it.each(TRAPS.filter((trap) => trap.plain === "wrong").map((trap) => [trap.name, trap] as const))(
    "is wrong: %s",
    async (_, trap) => {
      const { result } = await quietly(
        async () => tf.tidy(() => values(trap.run())),
        () => true,
      );
      expect(error(result, trap.truth)).toBeGreaterThan(WRONG);
    },
  );

  it.each(TRAPS.filter((trap) => trap.plain === "throws").map((trap) => [trap.name, trap] as const))(
    "fails: %s",
    (_, trap) => {
      expect(() => tf.tidy(() => values(trap.run()))).toThrow();
    },
  );
});
