/** The faults of the table are there: plain tfjs, with the gradients that @tensorflow/tfjs registers, has every one. */
import * as tf from "@tensorflow/tfjs-core";
import "@tensorflow/tfjs-core/dist/register_all_gradients.js";
import "@tensorflow/tfjs-backend-wasm";
import { beforeAll, describe, expect, it } from "vitest";
import { error, values } from "./traps/trap.ts";
import { TRAPS } from "./traps.ts";

beforeAll(async () => {
  // The backend keeps the console that it finds at its start: one fault announces itself there.
  const { warn } = console;
  console.warn = () => undefined;
  await tf.setBackend("wasm");
  console.warn = warn;
});

/** Beyond rounding: what the repaired engine meets with room to spare. */
const WRONG = 1e-3;

describe("plain tfjs", () => {
  it.each(TRAPS.filter((trap) => trap.plain === "wrong").map((trap) => [trap.name, trap] as const))(
    "is wrong: %s",
    (_, trap) => {
      const found = tf.tidy(() => values(trap.run()));
      expect(error(found, trap.truth)).toBeGreaterThan(WRONG);
    },
  );

  it.each(TRAPS.filter((trap) => trap.plain === "throws").map((trap) => [trap.name, trap] as const))(
    "fails: %s",
    (_, trap) => {
      expect(() => tf.tidy(() => values(trap.run()))).toThrow();
    },
  );
});
