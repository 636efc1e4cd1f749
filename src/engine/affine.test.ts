/** loc + scale·noise: the bits of the ops, with and without the short cut, and gradients. */
import * as tf from "@tensorflow/tfjs-core";
import { beforeAll, describe, expect, it } from "vitest";
import { rootKey } from "../core/key.ts";
import { normal } from "../core/random/draws.ts";
import { scope } from "../core/scope.ts";
import { affine } from "./affine.ts";
import { ensureEngine } from "./engine.ts";

beforeAll(async () => {
  await ensureEngine();
});

const noise = () => tf.tensor(normal(rootKey(3), 600), [300, 2]);

describe("affine", () => {
  it.each([
    [[0, 0], [1]],
    [[0], [1, 1]],
    [[0, 1], [1]],
    [[0], [1, 2]],
    [[-0, 0], [1]],
    [[3, 4], [5]],
  ])("is loc %j + scale %j · noise", (loc, scale) => {
    scope(() => {
      const [l, s, z] = [tf.tensor1d(loc), tf.tensor1d(scale), noise()];
      expect(affine(l, s, z).dataSync()).toEqual(tf.add(l, tf.mul(s, z)).dataSync());
    });
  });

  it("has its gradients where they are asked for", () => {
    scope(() => {
      const z = noise();
      const [dl, ds] = tf.grads((l: tf.Tensor, s: tf.Tensor) => tf.sum(affine(l, s, z)))([
        tf.zeros([2]),
        tf.scalar(1),
      ]) as [tf.Tensor, tf.Tensor];
      expect([...dl.dataSync()]).toEqual([300, 300]);
      expect(ds.dataSync()[0]).toBeCloseTo(tf.sum(z).dataSync()[0] as number, 3);
    });
  });
});
