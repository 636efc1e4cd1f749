// TEMPORARY stand-in written by the lead so that others can run; dist-A replaces this file.
import * as tf from "@tensorflow/tfjs-core";
import { type ArrayLike, toTensor } from "../core/array.ts";
import { fail } from "../core/errors.ts";
import { exponential as expDraws, normal as normalDraws, uniform as uniformDraws } from "../core/random/draws.ts";
import { broadcastShapes, type Shape, sizeOf } from "../core/shape.ts";
import type { TensorTree } from "../core/tree.ts";
import { softplus, stopGradient } from "../engine/ops.ts";
import type { Constraint } from "./constraint.ts";
import type { Distribution } from "./distribution.ts";

type P = Record<string, tf.Tensor>;
const real: Constraint = {
  example: (s) => tf.zeros([...s]),
  name: "real",
  eventRank: 0,
  discrete: false,
  check: (v) => tf.logicalNot(tf.isNaN(v)),
  bijection: () => fail("unsupported", "temp"),
};
const bool: Constraint = {
  ...real,
  name: "boolean",
  discrete: true,
  check: (v) => tf.logicalOr(tf.equal(v, 0), tf.equal(v, 1)),
};
interface Fam {
  family: string;
  support: Constraint;
  discrete: boolean;
  lp(p: P, v: tf.Tensor): tf.Tensor;
  draw(p: P, key: never, shape: Shape, offset: number): tf.Tensor;
}
function make(
  f: Fam,
  params: P,
  batchShape: Shape = broadcastShapes(...Object.values(params).map((p) => p.shape)),
  er = 0,
  mask?: tf.Tensor,
  em?: tf.Tensor,
): Distribution {
  const cut = batchShape.length - er;
  const again = (x: { b?: Shape; er?: number; m?: tf.Tensor; em?: tf.Tensor; p?: P }) =>
    make(f, x.p ?? params, x.b ?? batchShape, x.er ?? er, x.m ?? mask, x.em ?? em);
  const full = (v: tf.Tensor) => (em === undefined ? v : tf.where(tf.cast(em, "bool"), v, tf.zerosLike(v)));
  const sumLast = (x: tf.Tensor, n: number) =>
    n === 0
      ? x
      : tf.sum(
          x,
          Array.from({ length: n }, (_, i) => x.rank - n + i),
        );
  return {
    family: f.family,
    batchShape: batchShape.slice(0, cut),
    eventShape: batchShape.slice(cut),
    discrete: f.discrete,
    reparameterized: !f.discrete,
    params: params as TensorTree,
    support: {
      ...f.support,
      eventRank: er,
      check: (v) => {
        let c = tf.cast(f.support.check(v), "int32");
        if (em) c = tf.where(tf.cast(em, "bool"), c, tf.onesLike(c));
        return er === 0
          ? c
          : tf.min(
              c,
              Array.from({ length: er }, (_, i) => c.rank - er + i),
            );
      },
    },
    logProb: (v) =>
      tf.tidy(() => {
        let t = full(toTensor(v));
        if (mask) {
          const mm = tf.cast(tf.reshape(mask, [...mask.shape, ...Array(er).fill(1)]), "bool");
          t = tf.where(mm, t, tf.zerosLike(t));
        }
        let lp = f.lp(params, t);
        const s = broadcastShapes(lp.shape, batchShape);
        if (String(s) !== String(lp.shape)) lp = tf.broadcastTo(lp, s);
        if (em) lp = tf.where(tf.cast(em, "bool"), lp, tf.zerosLike(lp));
        lp = sumLast(lp, er);
        return mask ? tf.where(tf.cast(mask, "bool"), lp, tf.zerosLike(lp)) : lp;
      }),
    sample: (key, shape = [], first = 0) => {
      const s = [...shape, ...batchShape];
      return f.draw(params, key as never, s, first * sizeOf(s.slice(1)));
    },
    mean: () => fail("unsupported", "temp"),
    variance: () => fail("unsupported", "temp"),
    entropy: () => fail("unsupported", "temp"),
    event: (n) => again({ er: er + n }),
    mask: (m) => again({ m: toTensor(m) }),
    maskEntries: (m) => again({ em: toTensor(m) }),
    expand: (b) => again({ b: [...b, ...batchShape.slice(cut)] }),
    detach: () => again({ p: Object.fromEntries(Object.entries(params).map(([k, v]) => [k, stopGradient(v)])) }),
  };
}
const _normal = (loc: ArrayLike, scale: ArrayLike) =>
  make(
    {
      family: "normal",
      support: real,
      discrete: false,
      lp: (p, v) => {
        const z = tf.div(tf.sub(v, p.loc!), p.scale!);
        return tf.sub(tf.mul(-0.5, tf.square(z)), tf.add(tf.log(p.scale!), 0.9189385332));
      },
      draw: (p, key, s, o) => tf.add(p.loc!, tf.mul(p.scale!, tf.tensor(normalDraws(key, sizeOf(s), o), [...s]))),
    },
    { loc: toTensor(loc), scale: toTensor(scale) },
  );
const _exponential = (rate: ArrayLike) =>
  make(
    {
      family: "exponential",
      support: { ...real, check: (v) => tf.greaterEqual(v, 0) },
      discrete: false,
      lp: (p, v) => tf.sub(tf.log(p.rate!), tf.mul(p.rate!, v)),
      draw: (p, key, s, o) => tf.div(tf.tensor(expDraws(key, sizeOf(s), o), [...s]), p.rate!),
    },
    { rate: toTensor(rate) },
  );
export const bernoulli = (p: { logits: ArrayLike } | { probs: ArrayLike }, o: { grey?: boolean } = {}) =>
  make(
    {
      family: "bernoulli",
      support: o.grey ? real : bool,
      discrete: true,
      lp: (q, v) => tf.sub(tf.mul(v, q.logits!), softplus(q.logits!)),
      draw: (q, key, s, off) =>
        tf.cast(tf.less(tf.tensor(uniformDraws(key, sizeOf(s), off), [...s]), tf.sigmoid(q.logits!)), "float32"),
    },
    { logits: "logits" in p ? toTensor(p.logits) : tf.log(tf.div(toTensor(p.probs), tf.sub(1, toTensor(p.probs)))) },
  );

import { logSoftmax, logSumExp } from "../engine/ops.ts";
export const categorical = (p: { logits: ArrayLike }): Distribution => {
  const logits = toTensor(p.logits);
  const k = logits.shape[logits.rank - 1] as number;
  const batchShape = logits.shape.slice(0, -1);
  const d: Distribution = {
    ...make(
      {
        family: "categorical",
        support: { ...real, name: "integer" },
        discrete: true,
        lp: () => fail("unsupported", "x"),
        draw: () => fail("unsupported", "x"),
      },
      { logits },
    ),
    batchShape,
    eventShape: [],
    logProb: (v) => tf.sum(tf.mul(tf.oneHot(tf.cast(toTensor(v), "int32"), k), logSoftmax(logits)), -1),
    sample: (key, shape = [], first = 0) => {
      if (logits.rank !== 1) fail("unsupported", "temp");
      const n = sizeOf(shape);
      const u = uniformDraws(key, n, first * sizeOf(shape.slice(1)));
      const pr = tf.softmax(logits as tf.Tensor1D).dataSync();
      const cum: number[] = [];
      let c = 0;
      for (const x of pr) cum.push((c += x));
      return tf.tensor(
        Int32Array.from(u, (x) => {
          let lo = 0,
            hi = k - 1;
          while (lo < hi) {
            const m = (lo + hi) >> 1;
            if ((cum[m] as number) < x) lo = m + 1;
            else hi = m;
          }
          return lo;
        }),
        [...shape],
        "int32",
      );
    },
  };
  return d;
};

import { fold } from "../core/key.ts";
export const mixtureSameFamily = (mix: Distribution, comp: Distribution): Distribution => ({
  ...comp,
  family: "mixture",
  batchShape: comp.batchShape.slice(0, -1),
  discrete: false,
  reparameterized: false,
  logProb: (v) => {
    const t = toTensor(v);
    const er = comp.eventShape.length;
    const sh = t.shape.slice();
    sh.splice(sh.length - er, 0, 1);
    return tf.tidy(() => {
      const outs: tf.Tensor[] = [];
      const x = tf.reshape(t, sh);
      const n = sh[0] as number;
      for (let i = 0; i < n; i += 512) {
        const m = Math.min(512, n - i);
        const part = tf.slice(x, [i, ...sh.slice(1).map(() => 0)], [m, ...sh.slice(1)]);
        outs.push(logSumExp(tf.add(comp.logProb(part), logSoftmax(mix.params.logits!)), -1));
      }
      return outs.length === 1 ? outs[0]! : tf.concat(outs, 0);
    });
  },
  sample: (key, shape = [], first = 0) => {
    const full = shape;
    const i = mix.sample(fold(key, "mix"), full, first);
    const flat = tf.reshape(i, [-1]) as tf.Tensor1D;
    const e = comp.eventShape;
    const P = comp.params;
    const loc = tf.gather(P.loc!, flat),
      sc = tf.gather(P.scale!, flat);
    const n = flat.size;
    return tf.reshape(
      tf.add(
        loc,
        tf.mul(
          sc,
          tf.tensor(normalDraws(fold(key, "c"), n * sizeOf(e), first * sizeOf([...full.slice(1), ...e])), [n, ...e]),
        ),
      ),
      [...full, ...e],
    );
  },
  expand: (b) =>
    ({
      ...mixtureSameFamily(mix, comp),
      batchShape: b,
      sample: (key: never, shape: Shape = [], first = 0) =>
        mixtureSameFamily(mix, comp).sample(key, [...shape, ...b], first),
    }) as Distribution,
  mask: () => fail("unsupported", "temp"),
});
