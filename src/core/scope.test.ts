/** Nothing survives a scope but what it returns, also when it throws: each case counts tensors before and after. */
import * as tf from "@tensorflow/tfjs-core";
import { beforeAll, describe, expect, it } from "vitest";
import { useEngine } from "../engine/engine.ts";
import { TiltedError } from "./errors.ts";
import { scope } from "./scope.ts";

const numTensors = (): number => tf.memory().numTensors;
const numBytes = (): number => tf.memory().numBytes;

/** Runs `body`, which must throw, and asserts that it left nothing. */
function leavesNothing(body: () => unknown, message = "stop"): void {
  const [tensors, bytes] = [numTensors(), numBytes()];
  expect(body).toThrow(message);
  expect(numTensors()).toBe(tensors);
  expect(numBytes()).toBe(bytes);
  // The engine is in order: a gradient after it is right, and leaves nothing either.
  const slope = scope(
    () =>
      tf
        .grad((x) => tf.exp(x))(tf.scalar(0))
        .dataSync()[0],
  );
  expect(slope).toBe(1);
  expect(numTensors()).toBe(tensors);
}

const stop = (): never => {
  throw new Error("stop");
};

/** A function with several saved tensors, that throws once they are saved. */
const stopsLate = (x: tf.Tensor): tf.Tensor => {
  const y = tf.mul(tf.tanh(tf.mul(x, x)), tf.exp(x));
  return y.size > 0 ? stop() : y;
};

beforeAll(async () => {
  await useEngine("wasm");
});

describe("scope", () => {
  it("returns tensors, arrays and records of them, and disposes the rest", () => {
    const before = numTensors();
    const kept = scope(() => {
      const a = tf.add(tf.scalar(1), tf.scalar(2));
      return { a, list: [tf.square(a)], number: 7 };
    });
    expect(numTensors()).toBe(before + 2);
    expect([kept.a.dataSync()[0], kept.list[0]?.dataSync()[0], kept.number]).toEqual([3, 9, 7]);
    tf.dispose([kept.a, ...kept.list]);
    expect(numTensors()).toBe(before);
  });

  it("frees everything when the body throws", () => {
    leavesNothing(() =>
      scope(() => {
        tf.add(tf.scalar(1), tf.scalar(2));
        return stop();
      }),
    );
  });

  it("frees what an aborted gradient had saved; tf.tidy does not", () => {
    const before = numTensors();
    expect(() => tf.tidy(() => tf.grad(stopsLate)(tf.scalar(1)))).toThrow("stop");
    expect(numTensors()).toBeGreaterThan(before);
    // What tidy leaked hangs on the tape: take it away by hand, so that the rest of the file counts from zero.
    const { state } = tf.engine() as unknown as { state: { activeTape: { saved: tf.Tensor[] }[] | null } };
    for (const node of state.activeTape ?? []) tf.dispose(node.saved);
    state.activeTape = null;
    expect(numTensors()).toBe(before);

    leavesNothing(() => scope(() => tf.grad(stopsLate)(tf.scalar(1))));
  });

  it("frees it from nested scopes, whether the throw passes or is caught", () => {
    leavesNothing(() => scope(() => tf.grad((x) => scope(() => stopsLate(x)))(tf.scalar(1))));
    leavesNothing(() => scope(() => scope(() => tf.grad((x) => scope(() => scope(() => stopsLate(x))))(tf.scalar(1)))));
    const before = numTensors();
    const slope = scope(() =>
      tf
        .grad((x) => {
          const y = tf.tanh(x);
          expect(() => scope(() => stopsLate(y))).toThrow("stop");
          return tf.mul(y, tf.exp(x));
        })(tf.scalar(0))
        .dataSync(),
    );
    // d/dx tanh(x) exp(x) = 1 at 0: the tape of the outer gradient was not harmed.
    expect(slope[0]).toBeCloseTo(1, 6);
    expect(numTensors()).toBe(before);
  });

  it("frees it from second derivatives, inner and outer", () => {
    leavesNothing(() => scope(() => tf.grad((x) => tf.grad(stopsLate)(x))(tf.scalar(1))));
    leavesNothing(() => scope(() => tf.grad((x) => stopsLate(tf.grad((y) => tf.exp(tf.square(y)))(x)))(tf.scalar(1))));
  });

  it("frees it when the throw comes on the way back", () => {
    const broken = tf.customGrad((x: tf.Tensor | tf.GradSaveFunc) => {
      const value = tf.exp(x as tf.Tensor);
      return { value, gradFunc: stop };
    });
    leavesNothing(() => scope(() => tf.grad((x) => tf.mul(broken(tf.sin(x)), tf.tanh(x)))(tf.scalar(1))));
    leavesNothing(() => scope(() => tf.grad((x) => tf.grad((y) => broken(tf.exp(y)))(x))(tf.scalar(1))));
  });

  it("frees it when a custom gradient throws after saving", () => {
    const broken = tf.customGrad((x: tf.Tensor | tf.GradSaveFunc, save: tf.Tensor | tf.GradSaveFunc) => {
      (save as tf.GradSaveFunc)([x as tf.Tensor]);
      return stop();
    });
    leavesNothing(() => scope(() => tf.grad((x) => broken(tf.exp(x)))(tf.scalar(1))));
  });

  it("frees it inside a generator that is abandoned", () => {
    function* steps(): Generator<number, void, unknown> {
      for (let i = 0; i < 3; i++) {
        yield scope(() =>
          tf
            .valueAndGrad((x) => (i === 2 ? stopsLate(x) : tf.exp(x)))(tf.scalar(0))
            .grad.dataSync(),
        )[0] as number;
      }
    }
    leavesNothing(() => [...steps()]);
    leavesNothing(() => scope(() => [...steps()]));
  });

  it("keeps a gradient going whose own rule catches a failure", () => {
    const forgiving = tf.customGrad((x: tf.Tensor | tf.GradSaveFunc) => ({
      value: tf.sin(x as tf.Tensor),
      gradFunc: (dy: tf.Tensor) => {
        expect(() => scope(() => stop())).toThrow("stop");
        return tf.clone(dy);
      },
    }));
    const before = numTensors();
    expect(
      scope(
        () =>
          tf
            .grad((x) => tf.exp(forgiving(x)))(tf.scalar(0))
            .dataSync()[0],
      ),
    ).toBe(1);
    expect(numTensors()).toBe(before);
  });

  it("closes scopes that the body left open", () => {
    leavesNothing(() =>
      scope(() => {
        tf.engine().startScope();
        tf.engine().startScope();
        tf.scalar(1);
        return stop();
      }),
    );
  });

  it("refuses an async body", () => {
    const before = numTensors();
    let caught: unknown;
    try {
      scope(async () => tf.scalar(1));
    } catch (error) {
      caught = error;
    }
    expect(caught).toBeInstanceOf(TiltedError);
    expect((caught as TiltedError).code).toBe("argument");
    expect(numTensors()).toBe(before);
  });
});
