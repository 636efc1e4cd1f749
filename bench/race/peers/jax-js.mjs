/** The workloads in jax-js: every step one jitted function, float32, its WebAssembly backend (one thread in Node). */
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { pathToFileURL } from "node:url";
import { stepping, whole } from "../contestant.ts";

/** Loads it from where `peers.sh` puts it, and gives its version and its contestants by workload. */
export async function load(folder) {
  const at = join(folder, "node", "node_modules", "@jax-js", "jax");
  const { version } = JSON.parse(readFileSync(join(at, "package.json"), "utf8"));
  const jax = await import(pathToFileURL(join(at, "dist", "index.js")).href);
  await jax.init("wasm");
  jax.defaultDevice("wasm");
  return { version: `jax-js ${version} (wasm)`, WORKLOADS: workloads(jax) };
}

const DATA = new Set(["x", "y", "observed", "target", "base"]);

// Functions of jax-js consume their arguments; `.ref` keeps one. What is kept too often below are marks of a trace, made once.
function workloads({ numpy: np, nn, jit, grad, valueAndGrad, random }) {
  const arrays = (inputs) =>
    Object.fromEntries(Object.entries(inputs).map(([name, { data, shape }]) => [name, np.array(data).reshape(shape)]));
  const split = (inputs) => {
    const all = Object.entries(arrays(inputs));
    return {
      params: Object.fromEntries(all.filter(([name]) => !DATA.has(name))),
      data: Object.fromEntries(all.filter(([name]) => DATA.has(name))),
    };
  };
  const keep = (all) => Object.fromEntries(Object.entries(all).map(([name, x]) => [name, x.ref]));
  const zeros = (all) => Object.fromEntries(Object.entries(all).map(([name, x]) => [name, np.zeros(x.shape)]));

  const layer = (p, name, x) => np.matmul(x.ref, p[`${name}/weight`].ref).add(p[`${name}/bias`].ref);
  const silu = (x) => x.ref.mul(nn.sigmoid(x.ref));
  function mlp(p, name, depth, x, act = silu, last = false) {
    let h = x;
    for (let i = 0; i < depth; i++) {
      h = layer(p, `${name}/${i}`, h);
      if (i < depth - 1 || last) h = act(h);
    }
    return h;
  }
  const square = (x) => x.ref.mul(x.ref);
  // log(1 + exp x) as it stands overflows: what users of jax-js are given is nn.softplus.
  const softplus = (x) => nn.softplus(x.ref);

  /** Adam, its moments and the gradient in one jitted function. */
  function training(inputs, loss, timedSteps) {
    const { params, data } = split(inputs);
    const update = jit((p, m, v, corrections, data, key) => {
      const [value, g] = valueAndGrad((p) => loss(p, data, key))(keep(p));
      const next = { p: {}, m: {}, v: {} };
      for (const name of Object.keys(p)) {
        next.m[name] = m[name].mul(0.9).add(g[name].ref.mul(0.1));
        next.v[name] = v[name].mul(0.999).add(square(g[name]).mul(0.001));
        const scaled = next.m[name].ref.div(corrections.first.ref);
        const spread = np.sqrt(next.v[name].ref.div(corrections.second.ref)).add(1e-8);
        next.p[name] = p[name].ref.sub(scaled.div(spread).mul(1e-3));
      }
      return [value, next];
    });
    let state = { p: params, m: zeros(params), v: zeros(params) };
    let t = 0;
    return stepping(
      async (steps, { onProgress }) => {
        for (let i = 0; i < steps; i++) {
          t++;
          const corrections = { first: np.array(1 - 0.9 ** t), second: np.array(1 - 0.999 ** t) };
          const [value, next] = update(state.p, state.m, state.v, corrections, keep(data), random.key(t));
          state = next;
          onProgress({ step: i + 1, metrics: { loss: (await value.data())[0] } });
        }
      },
      { timedSteps },
    );
  }

  const encode = (p, depth, x, act) => {
    const h = mlp(p, "encoder", depth, x, act, true);
    return { loc: layer(p, "encoder/loc", h), scale: softplus(layer(p, "encoder/scale", h)).add(1e-4) };
  };

  const vaeStep = (inputs) =>
    training(
      inputs,
      (p, { x }, key) => {
        const { loc, scale } = encode(p, 3, x, silu);
        const z = loc.ref.add(scale.ref.mul(random.normal(key, loc.shape)));
        const logits = mlp(p, "decoder", 4, z);
        const entropy = softplus(logits).sub(logits.ref.mul(x.ref)).sum();
        const kl = square(loc).add(square(scale)).sub(1).mul(0.5).sub(np.log(scale.ref)).sum();
        return entropy.add(kl).div(x.shape[0]);
      },
      3,
    );

  const energyStep = (inputs) =>
    training(
      inputs,
      (p, { target, base }) => {
        const network = (x) => mlp(p, "energy", 3, x).reshape([-1]);
        const [e, f] = [network(target), network(base)];
        const slope = grad((x) => network(x).sum())(target.ref);
        const sizes = np.mean(square(e)).add(np.mean(square(f)));
        const penalty = np.mean(square(slope).sum(-1));
        return np.mean(e).sub(np.mean(f)).add(sizes.mul(0.25)).add(penalty.mul(0.1));
      },
      20,
    );

  const CHAINS = 1000;
  const STEP = 0.01;
  function langevin(inputs) {
    const { params } = split(inputs);
    const step = jit((p, z, key) => {
      const logProb = (z) => np.negative(mlp(p, "energy", 3, z).sum().add(square(z).sum().mul(0.5)));
      const noise = random.normal(key, [CHAINS, 2]).mul(Math.sqrt(2 * STEP));
      return z.ref.add(grad(logProb)(z.ref).mul(STEP)).add(noise);
    });
    let seed = 0;
    let found = Number.NaN;
    return stepping(
      async (steps, { onProgress }) => {
        let z = random.normal(random.key(++seed), [CHAINS, 2]);
        for (let i = 0; i < steps; i++) {
          z = step(keep(params), z, random.key(++seed));
          // Read, or what the steps made in between is held until memory ends.
          await z.ref.data();
          onProgress({ step: i + 1 });
        }
        found = (await square(z).sum().data())[0] / CHAINS;
      },
      // A step takes most of a second, why is not known: the answer is after a tenth of the others' steps, a weaker check.
      { checkSteps: 100, timedSteps: 10, check: () => ({ square: found }) },
    );
  }

  function snis() {
    const count = 1_000_000;
    const estimate = jit((key) => {
      const z = random.normal(key, [count, 2]);
      const squares = square(z).sum(-1);
      const logW = squares.ref.mul(-0.5);
      const w = nn.softmax(logW.ref);
      return [nn.logsumexp(logW.ref), square(w).sum(), w.ref.mul(squares.ref).sum()];
    });
    let seed = 0;
    return whole(async () => {
      const [logSum, squares, mean] = await Promise.all(estimate(random.key(++seed)).map((x) => x.data()));
      return { logZ: logSum[0] - Math.log(count), ess: 1 / squares[0] / count, square: mean[0] };
    });
  }

  return { "vae-step": vaeStep, "energy-step": energyStep, langevin, snis };
}
