/** Programs of the compiler that go when the test that made them is over. */
import { onTestFinished } from "vitest";
import { createProgram } from "../../src/compiler/runtime/session.ts";

/** As `createProgram`; disposed at the end of the test. */
export const programFor: typeof createProgram = async (...args) => {
  const program = await createProgram(...args);
  onTestFinished(() => program.dispose());
  return program;
};
