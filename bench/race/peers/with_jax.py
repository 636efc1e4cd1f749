"""The workloads in JAX, jitted, float32, loops as lax.scan; the threefry generator of JAX."""
import math

import jax
import jax.numpy as jnp

VERSION = "JAX " + jax.__version__
LOG_2PI = math.log(2 * math.pi)
DATA = {"x", "y", "observed", "target", "base"}


def split(inputs):
    arrays = {k: jnp.asarray(v) for k, v in inputs.items()}
    return {k: v for k, v in arrays.items() if k not in DATA}, {k: v for k, v in arrays.items() if k in DATA}


def layer(p, name, x):
    return x @ p[name + "/weight"] + p[name + "/bias"]


def mlp(p, name, x, act=jax.nn.silu, last=None):
    depth = sum(1 for k in p if k.startswith(name + "/") and k.split("/")[1].isdigit() and k.endswith("weight"))
    for i in range(depth):
        x = layer(p, f"{name}/{i}", x)
        if i < depth - 1:
            x = act(x)
        elif last is not None:
            x = last(x)
    return x


def encode(p, x, act=jax.nn.silu):
    h = mlp(p, "encoder", x, act, act)
    return layer(p, "encoder/loc", h), jax.nn.softplus(layer(p, "encoder/scale", h)) + 1e-4


def normal_log_prob(x, loc, scale):
    return -0.5 * ((x - loc) / scale) ** 2 - jnp.log(scale) - 0.5 * LOG_2PI


def training(p, loss, steps):
    zeros = jax.tree.map(jnp.zeros_like, p)

    def update(state, key):
        p, m, v, t = state
        value, g = jax.value_and_grad(loss)(p, key)
        t = t + 1
        m = jax.tree.map(lambda m, g: 0.9 * m + 0.1 * g, m, g)
        v = jax.tree.map(lambda v, g: 0.999 * v + 0.001 * g * g, v, g)
        a, b = 1 - 0.9 ** t, 1 - 0.999 ** t
        p = jax.tree.map(lambda p, m, v: p - 1e-3 * (m / a) / (jnp.sqrt(v / b) + 1e-8), p, m, v)
        return (p, m, v, t), value

    step = jax.jit(update, donate_argnums=0)
    box = {"state": (p, zeros, jax.tree.map(jnp.zeros_like, p), jnp.float32(0)), "key": jax.random.key(1)}

    def one():
        box["key"], key = jax.random.split(box["key"])
        box["state"], value = step(box["state"], key)
        return float(value)

    def first():
        values = [one() for _ in range(20)]
        return {"loss": sum(values[-5:]) / 5}

    def run():
        for _ in range(steps):
            one()
        return steps

    return {"first": first, "run": run}


def vae_step(inputs):
    p, d = split(inputs)
    x = d["x"]

    def loss(p, key):
        loc, scale = encode(p, x)
        z = loc + scale * jax.random.normal(key, loc.shape)
        logits = mlp(p, "decoder", z)
        entropy = (jax.nn.softplus(logits) - logits * x).sum()
        kl = (0.5 * (loc ** 2 + scale ** 2 - 1) - jnp.log(scale)).sum()
        return (entropy + kl) / x.shape[0]

    return training(p, loss, 5)


def energy_step(inputs):
    p, d = split(inputs)

    def loss(p, key):
        energy = lambda x: mlp(p, "energy", x).squeeze(-1)
        e, back = jax.vjp(energy, d["target"])
        (slope,) = back(jnp.ones_like(e))
        f = energy(d["base"])
        return e.mean() - f.mean() + 0.25 * ((e ** 2).mean() + (f ** 2).mean()) + 0.1 * (slope ** 2).sum(-1).mean()

    return training(p, loss, 50)


CHAINS, STEPS, STEP = 1000, 1000, 0.01


def keyed(program, units, names):
    compiled, box = jax.jit(program), {"key": jax.random.key(1)}

    def once():
        box["key"], key = jax.random.split(box["key"])
        return {n: float(v) for n, v in zip(names, compiled(key))}

    return {"first": once, "run": lambda: (once(), units)[1]}


def langevin(inputs):
    p, _ = split(inputs)
    log_prob = lambda z: (-mlp(p, "energy", z).squeeze(-1) - 0.5 * (z ** 2).sum(-1)).sum()

    def program(key):
        key, start = jax.random.split(key)

        def body(z, key):
            return z + STEP * jax.grad(log_prob)(z) + math.sqrt(2 * STEP) * jax.random.normal(key, z.shape), None

        z, _ = jax.lax.scan(body, jax.random.normal(start, (CHAINS, 2)), jax.random.split(key, STEPS))
        return ((z ** 2).sum(-1).mean(),)

    return keyed(program, STEPS, ["square"])


def snis(_):
    def program(key):
        z = jax.random.normal(key, (1_000_000, 2))
        log_w = -0.5 * (z ** 2).sum(-1)
        w = jax.nn.softmax(log_w)
        log_z = jax.nn.logsumexp(log_w) - math.log(z.shape[0])
        return log_z, 1 / (w ** 2).sum() / 1e6, (w[:, None] * z ** 2).sum()

    return keyed(program, 1, ["logZ", "ess", "square"])


def snis_vae(inputs):
    p, d = split(inputs)
    x, chunk, total = d["x"], 20, 10_000

    def program(key):
        def body(_, key):
            z = jax.random.normal(key, (chunk, x.shape[0], 2))
            logits = mlp(p, "decoder", z.reshape(-1, 2)).reshape(chunk, x.shape[0], -1)
            return None, (logits * x - jax.nn.softplus(logits)).sum(-1)

        _, log_w = jax.lax.scan(body, None, jax.random.split(key, total // chunk))
        return ((jax.nn.logsumexp(log_w.reshape(total, -1), 0) - math.log(total)).mean(),)

    return keyed(program, 1, ["logEvidence"])


def iwae_step(inputs):
    p, d = split(inputs)
    x, k = d["x"], 50

    def loss(p, key):
        loc, scale = encode(p, x, jnp.tanh)
        z = loc + scale * jax.random.normal(key, (k, *loc.shape))
        logits = mlp(p, "decoder", z, jnp.tanh)
        log_w = (logits * x - jax.nn.softplus(logits)).sum(-1)
        log_w = log_w + (normal_log_prob(z, 0.0, 1.0) - normal_log_prob(z, loc, scale)).sum(-1)
        return -(jax.nn.logsumexp(log_w, 0) - math.log(k)).mean()

    return training(p, loss, 10)


def notmiwae_step(inputs):
    p, d = split(inputs)
    x, s, k = d["x"], d["observed"], 20

    def loss(p, key):
        one, two = jax.random.split(key)
        loc, scale = encode(p, x, jnp.tanh)
        z = loc + scale * jax.random.normal(one, (k, *loc.shape))
        mean = mlp(p, "decoder", z, jnp.tanh)
        sd = jax.nn.softplus(p["decoder/log-scale"]) + 1e-3
        xm = mean + sd * jax.random.normal(two, mean.shape)
        filled = jnp.where(s == 1, x, xm)
        logits = jax.nn.softplus(p["mask/slope"]) * (filled - p["mask/shift"])
        log_s = -jax.nn.softplus(jnp.where(s == 1, logits, -logits)).sum(-1)
        log_w = (normal_log_prob(x, mean, sd) * s).sum(-1) + log_s
        log_w = log_w + (normal_log_prob(z, 0.0, 1.0) - normal_log_prob(z, loc, scale)).sum(-1)
        return -(jax.nn.logsumexp(log_w, 0) - math.log(k)).mean()

    return training(p, loss, 50)


def mala(log_prob, dim, step, steps, chains=64):
    def program(key):
        key, start = jax.random.split(key)
        both = jax.vmap(jax.value_and_grad(log_prob))

        def body(state, key):
            z, v, g = state
            one, two = jax.random.split(key)
            y = z + step * g + math.sqrt(2 * step) * jax.random.normal(one, z.shape)
            w, h = both(y)
            forward = ((y - z - step * g) ** 2).sum(-1) / (4 * step)
            back = ((z - y - step * h) ** 2).sum(-1) / (4 * step)
            take = jnp.log(jax.random.uniform(two, (chains,))) < w - v - back + forward
            z, v, g = jnp.where(take[:, None], y, z), jnp.where(take, w, v), jnp.where(take[:, None], h, g)
            return (z, v, g), (take.mean(), (z ** 2).mean())

        z = jax.random.normal(start, (chains, dim))
        _, (taken, square) = jax.lax.scan(body, (z, *both(z)), jax.random.split(key, steps))
        return taken.mean(), square[steps // 2:].mean()

    return keyed(program, steps, ["acceptance", "square"])


def mala_gaussian(_):
    return mala(lambda z: -0.5 * (z ** 2).sum(), 100, 0.1, 1000)


def logistic_log_prob(inputs):
    x, y = jnp.asarray(inputs["x"]), jnp.asarray(inputs["y"])

    def log_prob(beta):
        logits = x @ beta
        return (logits * y - jax.nn.softplus(logits)).sum() - 0.5 * (beta ** 2).sum()

    return log_prob, x.shape[1]


def mala_logistic(inputs):
    return mala(*logistic_log_prob(inputs), 0.002, 500)


WORKLOADS = {
    "vae-step": vae_step, "energy-step": energy_step, "langevin": langevin, "snis": snis, "snis-vae": snis_vae,
    "iwae-step": iwae_step, "notmiwae-step": notmiwae_step, "mala-gaussian": mala_gaussian, "mala-logistic": mala_logistic,
}
