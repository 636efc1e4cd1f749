import { afterEach, describe, expect, it, vi } from "vitest";
import { nextTurn, yieldToEventLoop } from "./event-loop.ts";

/** Keeps the event loop to itself. */
const work = (ms: number) => {
  for (const start = performance.now(); performance.now() - start < ms; );
};

afterEach(() => {
  vi.unstubAllGlobals();
  vi.restoreAllMocks();
});

describe.each(["Node", "a page"])("a turn of the event loop in %s", (where) => {
  const here = () => {
    if (where === "a page") vi.stubGlobal("setImmediate", undefined);
  };

  it("lets timers that are due do their work", async () => {
    here();
    let fired = 0;
    for (let wanted = 1; wanted <= 5; wanted++) {
      setTimeout(() => fired++, 1);
      work(3);
      // A timer may have its turn at the end of this one, or at the beginning of the next.
      await nextTurn();
      await nextTurn();
      expect(fired).toBe(wanted);
    }
  });

  it("comes only to those who have worked for long", async () => {
    here();
    let now = 1000;
    vi.spyOn(performance, "now").mockImplementation(() => now);
    const politely = yieldToEventLoop();
    now += 50;
    expect(politely()).toBeUndefined();
    now += 1;
    const given = politely();
    expect(given).toBeInstanceOf(Promise);
    await given;
    now += 50;
    expect(politely()).toBeUndefined();
    now += 1;
    expect(politely()).toBeInstanceOf(Promise);
  });
});
