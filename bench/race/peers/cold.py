"""Cold starts: `cold.py SYSTEM coin|tilt` prints a posterior mean; the harness times the whole process."""
import sys

system, task = sys.argv[1], sys.argv[2]

if system == "numpyro":
    import jax
    import jax.numpy as jnp
    import numpyro
    import numpyro.distributions as dist
    from numpyro.infer.util import log_density

    def coin(heads):
        p = numpyro.sample("x", dist.Beta(2.0, 2.0))
        numpyro.sample("heads", dist.Binomial(10, p), obs=heads)

    def tilt():
        z = numpyro.sample("x", dist.Normal(jnp.zeros(2), 1.0).to_event(1))
        numpyro.factor("tilt", -0.5 * ((z - 1) ** 2).sum())

    prior = dist.Beta(2.0, 2.0) if task == "coin" else dist.Normal(jnp.zeros(2), 1.0).to_event(1)
    model, args = (coin, (7,)) if task == "coin" else (tilt, ())

    def estimate(key):
        draws = prior.sample(key, (1000,))
        log_w = jax.vmap(lambda x: log_density(model, args, {}, {"x": x})[0] - prior.log_prob(x))(draws)
        return (jax.nn.softmax(log_w) * draws.reshape(1000, -1).mean(-1)).sum()

    print(float(jax.jit(estimate)(jax.random.key(1))))
elif system == "pyro":
    import pyro
    import pyro.distributions as dist
    import torch
    from pyro.infer import Importance

    pyro.set_rng_seed(1)

    def coin(heads):
        p = pyro.sample("p", dist.Beta(2.0, 2.0))
        pyro.sample("heads", dist.Binomial(10, p), obs=torch.tensor(float(heads)))
        return p

    def tilt():
        z = pyro.sample("z", dist.Normal(torch.zeros(2), 1.0).to_event(1))
        pyro.factor("tilt", -0.5 * ((z - 1) ** 2).sum())
        return z.mean()

    posterior = Importance(coin if task == "coin" else tilt, num_samples=1000).run(*([7] if task == "coin" else []))
    w = torch.softmax(torch.stack([torch.as_tensor(v) for v in posterior.log_weights]), 0)
    values = torch.stack([t.nodes["_RETURN"]["value"] for t in posterior.exec_traces])
    print(float((w * values).sum()))
