import { describe, expect, it } from "vitest";
import { progressBar, progressLine } from "./progress.ts";

const progress = (step: number, metrics: Record<string, number> = {}) => ({ method: "elbo", step, total: 4, metrics });

function terminal(isTTY: boolean, columns = 80) {
  const written: string[] = [];
  return { written, stream: { isTTY, columns, write: (text: string) => written.push(text) } };
}

describe("progressBar", () => {
  it("is quiet when the stream is no terminal", () => {
    const { written, stream } = terminal(false);
    const show = progressBar({ stream, interval: 0 });
    show(progress(1, { loss: 1 }));
    show(progress(4));
    expect(written).toEqual([]);
  });

  it("draws one line over and over, and ends it when done", () => {
    const { written, stream } = terminal(true);
    const show = progressBar({ stream, interval: 0 });
    show(progress(1, { loss: 1.5, validation: 3 }));
    show(progress(2, { loss: 1.25 }));
    show(progress(4, { loss: 1 }));
    show(progress(4));
    expect(written).toHaveLength(3);
    expect(written.every((line) => line.startsWith("\r"))).toBe(true);
    expect(written[1]).toContain("50% 2/4 loss 1.2500 validation 3");
    expect(written.filter((line) => line.endsWith("\n"))).toEqual([written[2]]);
  });

  it("redraws no more often than asked, but always at the end", () => {
    const { written, stream } = terminal(true);
    const show = progressBar({ stream, interval: 1e9 });
    for (let step = 1; step <= 4; step++) show(progress(step));
    expect(written).toHaveLength(2);
  });

  it("fits the terminal", () => {
    expect(progressLine(progress(1, { loss: 1, other: 2, third: 3 }), 40).length).toBeLessThan(40);
    expect(progressLine({ method: "elbo", step: 0, total: 0, metrics: {} })).toContain("100%");
  });
});
