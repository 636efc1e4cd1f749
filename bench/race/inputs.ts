/** What every contestant is given: first weights and data, as files of float32 that any language reads. */
import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";

/** An array of float32 with its shape. */
export interface Numbers {
  readonly data: Float32Array;
  readonly shape: readonly number[];
}

/** Named arrays. */
export type Inputs = { readonly [name: string]: Numbers };

/** Numbers in (0, 1) by a linear congruence: enough for a benchmark, and the same everywhere. */
function uniforms(seed: number): (count: number) => Float32Array {
  let state = (seed * 7919 + 17) >>> 0;
  return (count) =>
    Float32Array.from({ length: count }, () => {
      state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
      return (state + 0.5) / 2 ** 32;
    });
}

const size = (shape: readonly number[]) => shape.reduce((a, b) => a * b, 1);

/** Arrays drawn one after the other from one stream. */
function drawer(seed: number) {
  const draw = uniforms(seed);
  const of = (shape: readonly number[], f: (u: number) => number): Numbers => ({
    data: draw(size(shape)).map(f),
    shape,
  });
  return {
    uniform: (...shape: number[]) => of(shape, (u) => u),
    /** Nearly normal: a scaled logistic. */
    normal: (...shape: number[]) => of(shape, (u) => Math.log(u / (1 - u)) / 1.702),
    weight: (fanIn: number, fanOut: number, gain = 1) =>
      of([fanIn, fanOut], (u) => (gain * (2 * u - 1)) / Math.sqrt(fanIn)),
  };
}

type Draw = ReturnType<typeof drawer>;

/** Layers `name/0`, `name/1`, …, each with `weight` and `bias`. */
function mlp(draw: Draw, name: string, widths: readonly number[], gain = 1): Inputs {
  const out: { [name: string]: Numbers } = {};
  widths.slice(1).forEach((width, i) => {
    Object.assign(out, layer(draw, `${name}/${i}`, widths[i] as number, width, gain));
  });
  return out;
}

const layer = (draw: Draw, name: string, fanIn: number, fanOut: number, gain = 1): Inputs => ({
  [`${name}/weight`]: draw.weight(fanIn, fanOut, gain),
  [`${name}/bias`]: { data: new Float32Array(fanOut), shape: [fanOut] },
});

/** Encoder and decoder of a VAE with two heads. */
const vae = (draw: Draw, features: number, hidden: readonly number[], latent: number): Inputs => {
  const last = hidden[hidden.length - 1] as number;
  return {
    ...mlp(draw, "encoder", [features, ...hidden], 1.7),
    ...layer(draw, "encoder/loc", last, latent),
    ...layer(draw, "encoder/scale", last, latent),
    ...mlp(draw, "decoder", [latent, ...[...hidden].reverse(), features], 1.7),
  };
};

export const VAE_SHAPE = { features: 784, hidden: [1024, 512, 256], latent: 2, batch: 128 } as const;
export const IWAE_SHAPE = { features: 784, hidden: [200, 200], latent: 50, batch: 20, k: 50 } as const;
export const WINE_SHAPE = { features: 11, hidden: [128, 128], latent: 10, batch: 16, k: 20 } as const;
export const ENERGY_SHAPE = { widths: [2, 256, 128, 1], batch: 128 } as const;
export const REGRESSION_SHAPE = { rows: 1000, features: 20 } as const;

const grey = ({ data, shape }: Numbers): Numbers => ({ data: data.map((u) => Math.max(0, 2 * u - 1)), shape });

/** Inputs of each workload that has any. */
export const INPUTS: { readonly [workload: string]: () => Inputs } = {
  "vae-step": () => {
    const draw = drawer(1);
    const { features, hidden, latent, batch } = VAE_SHAPE;
    return { ...vae(draw, features, hidden, latent), x: grey(draw.uniform(batch, features)) };
  },
  "energy-step": () => {
    const draw = drawer(2);
    const { widths, batch } = ENERGY_SHAPE;
    return { ...mlp(draw, "energy", widths, 1.7), target: draw.normal(batch, 2), base: draw.normal(batch, 2) };
  },
  langevin: () => mlp(drawer(3), "energy", ENERGY_SHAPE.widths, 1.7),
  "snis-vae": () => {
    const draw = drawer(4);
    const { features, hidden, latent, batch } = VAE_SHAPE;
    return {
      ...mlp(draw, "decoder", [latent, ...[...hidden].reverse(), features], 1.7),
      x: grey(draw.uniform(batch, features)),
    };
  },
  "iwae-step": () => {
    const draw = drawer(5);
    const { features, hidden, latent, batch } = IWAE_SHAPE;
    return { ...vae(draw, features, hidden, latent), x: grey(draw.uniform(batch, features)) };
  },
  "notmiwae-step": () => {
    const draw = drawer(6);
    const { features, hidden, latent, batch } = WINE_SHAPE;
    const x = draw.normal(batch, features);
    // Above the mean in the first half of the features: hidden.
    const observed = {
      data: x.data.map((v, i) => (i % features < Math.floor(features / 2) && v > 0 ? 0 : 1)),
      shape: x.shape,
    };
    const zeros = (n: number, v = 0): Numbers => ({ data: new Float32Array(n).fill(v), shape: [n] });
    return {
      ...vae(draw, features, hidden, latent),
      "decoder/log-scale": zeros(1),
      "mask/slope": zeros(features, 1),
      "mask/shift": zeros(features),
      x: { data: x.data.map((v, i) => (observed.data[i] === 1 ? v : 0)), shape: x.shape },
      observed,
    };
  },
  "mala-logistic": () => {
    const draw = drawer(7);
    const { rows, features } = REGRESSION_SHAPE;
    const [x, beta, u] = [draw.normal(rows, features), draw.normal(features), draw.uniform(rows)];
    const y = u.data.map((v, i) => {
      let logit = 0;
      for (let j = 0; j < features; j++) logit += (x.data[i * features + j] as number) * (beta.data[j] as number);
      return v < 1 / (1 + Math.exp(-logit)) ? 1 : 0;
    });
    return { x, y: { data: y, shape: [rows] } };
  },
};

/** Writes them under `folder`: `NAME.json` lists names, shapes and offsets into `NAME.f32`. */
export function writeInputs(folder: string): void {
  mkdirSync(folder, { recursive: true });
  for (const [workload, make] of Object.entries(INPUTS)) {
    const inputs = make();
    const index: { name: string; shape: readonly number[]; offset: number }[] = [];
    const all = new Float32Array(Object.values(inputs).reduce((n, { data }) => n + data.length, 0));
    let offset = 0;
    for (const [name, { data, shape }] of Object.entries(inputs)) {
      index.push({ name, shape, offset });
      all.set(data, offset);
      offset += data.length;
    }
    writeFileSync(join(folder, `${workload}.json`), JSON.stringify(index));
    writeFileSync(join(folder, `${workload}.f32`), new Uint8Array(all.buffer));
  }
}
