"""NumPyro: the VAE step as SVI with a closed-form KL, and MALA, which is its HMC with one leapfrog step of √(2·step)."""
import math

import jax
import jax.numpy as jnp
import numpyro
import numpyro.distributions as dist
from numpyro.infer import HMC, SVI, TraceMeanField_ELBO
from numpyro.infer.initialization import init_to_value
from with_jax import encode, keyed, mlp, split

VERSION = "NumPyro " + numpyro.__version__


def vae_step(inputs):
    start, data = split(inputs)
    x = data["x"]

    def params(part):
        return {k: numpyro.param(k, v) for k, v in start.items() if k.startswith(part)}

    def model(x):
        p = params("decoder")
        with numpyro.plate("data", x.shape[0]):
            z = numpyro.sample("z", dist.Normal(jnp.zeros((x.shape[0], 2)), 1.0).to_event(1))
            # The data are grey values, which a Bernoulli that is validated refuses.
            numpyro.sample("x", dist.Bernoulli(logits=mlp(p, "decoder", z), validate_args=False).to_event(1), obs=x)

    def guide(x):
        p = params("encoder")
        with numpyro.plate("data", x.shape[0]):
            loc, scale = encode(p, x)
            numpyro.sample("z", dist.Normal(loc, scale).to_event(1))

    svi = SVI(model, guide, numpyro.optim.Adam(1e-3), TraceMeanField_ELBO())
    update = jax.jit(svi.update, donate_argnums=0)
    box = {"state": svi.init(jax.random.key(1), x)}

    def one():
        box["state"], loss = update(box["state"], x)
        return float(loss) / x.shape[0]

    def first():
        values = [one() for _ in range(20)]
        return {"loss": sum(values[-5:]) / 5}

    def run():
        for _ in range(5):
            one()
        return 5

    return {"first": first, "run": run}


def mala(model, site, dim, step, steps, chains=64):
    size = math.sqrt(2 * step)
    kernel = HMC(
        model,
        step_size=size,
        num_steps=1,
        trajectory_length=None,
        adapt_step_size=False,
        adapt_mass_matrix=False,
        init_strategy=init_to_value(values={site: jnp.zeros(dim)}),
    )
    # Sets the kernel up; the chains start where the others' do.
    kernel.init(jax.random.key(0), 0, None, (), {})

    def program(key):
        key, start, mix = jax.random.split(key, 3)
        begin = lambda k, z: kernel.init(k, 0, {site: z}, (), {})
        state = jax.vmap(begin)(jax.random.split(mix, chains), jax.random.normal(start, (chains, dim)))

        def body(state, _):
            state = jax.vmap(lambda s: kernel.sample(s, (), {}))(state)
            return state, (state.accept_prob.mean(), (state.z[site] ** 2).mean())

        _, (taken, square) = jax.lax.scan(body, state, None, length=steps)
        return taken.mean(), square[steps // 2:].mean()

    return keyed(program, steps, ["acceptance", "square"])


def mala_gaussian(_):
    def model():
        numpyro.sample("z", dist.Normal(jnp.zeros(100), 1.0).to_event(1))

    return mala(model, "z", 100, 0.1, 1000)


def mala_logistic(inputs):
    x, y = jnp.asarray(inputs["x"]), jnp.asarray(inputs["y"])

    def model():
        beta = numpyro.sample("beta", dist.Normal(jnp.zeros(x.shape[1]), 1.0).to_event(1))
        numpyro.sample("y", dist.Bernoulli(logits=x @ beta).to_event(1), obs=y)

    return mala(model, "beta", x.shape[1], 0.002, 500)


WORKLOADS = {"vae-step": vae_step, "mala-gaussian": mala_gaussian, "mala-logistic": mala_logistic}
