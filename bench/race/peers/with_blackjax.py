"""The samplers of BlackJAX."""
import blackjax
import jax
import jax.numpy as jnp
from with_jax import keyed, logistic_log_prob, mlp, split

VERSION = "BlackJAX " + blackjax.__version__


def mala(log_prob, dim, step, steps, chains=64):
    # BlackJAX: x' = x + step*grad + sqrt(2 step) noise, as here.
    kernel = blackjax.mala(log_prob, step)

    def program(key):
        key, start = jax.random.split(key)
        state = jax.vmap(kernel.init)(jax.random.normal(start, (chains, dim)))

        def body(state, key):
            state, info = jax.vmap(kernel.step)(jax.random.split(key, chains), state)
            return state, (info.acceptance_rate.mean(), (state.position ** 2).mean())

        _, (taken, square) = jax.lax.scan(body, state, jax.random.split(key, steps))
        return taken.mean(), square[steps // 2:].mean()

    return keyed(program, steps, ["acceptance", "square"])


def langevin(inputs):
    p, _ = split(inputs)
    log_prob = lambda z: -mlp(p, "energy", z).squeeze(-1) - 0.5 * (z ** 2).sum()
    sampler = blackjax.sgld(lambda z, _: jax.grad(log_prob)(z))

    def program(key):
        key, start = jax.random.split(key)
        step = jax.vmap(lambda k, z: sampler.step(k, z, 0.0, 0.01))

        def body(z, key):
            return step(jax.random.split(key, 1000), z), None

        z, _ = jax.lax.scan(body, jax.random.normal(start, (1000, 2)), jax.random.split(key, 1000))
        return ((z ** 2).sum(-1).mean(),)

    return keyed(program, 1000, ["square"])


WORKLOADS = {
    "langevin": langevin,
    "mala-gaussian": lambda _: mala(lambda z: -0.5 * (z ** 2).sum(), 100, 0.1, 1000),
    "mala-logistic": lambda inputs: mala(*logistic_log_prob(inputs), 0.002, 500),
}
