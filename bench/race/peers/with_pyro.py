"""The VAE step in Pyro: model, guide and TraceMeanField_ELBO (closed-form KL, as in the others) with Pyro's Adam, as its tutorial has it."""
import pyro
import pyro.distributions as dist
import torch
from pyro.infer import SVI, TraceMeanField_ELBO
from with_torch import encode, mlp, tensors

VERSION = "Pyro " + pyro.__version__
pyro.set_rng_seed(1)
pyro.enable_validation(False)  # the data are grey values, which a Bernoulli that is validated refuses


def vae_step(inputs):
    start = tensors(inputs, grad=False)
    x = start["x"]

    def params(part):
        return {k: pyro.param(k.replace("/", "."), v) for k, v in start.items() if k.startswith(part)}

    def model(x):
        p = params("decoder")
        with pyro.plate("data", x.shape[0]):
            z = pyro.sample("z", dist.Normal(torch.zeros(x.shape[0], 2), torch.ones(x.shape[0], 2)).to_event(1))
            pyro.sample("x", dist.Bernoulli(logits=mlp(p, "decoder", z)).to_event(1), obs=x)

    def guide(x):
        p = params("encoder")
        with pyro.plate("data", x.shape[0]):
            loc, scale = encode(p, x)
            pyro.sample("z", dist.Normal(loc, scale).to_event(1))

    pyro.clear_param_store()
    # Pyro's loss is a sum over the batch; Adam does not see the difference.
    svi = SVI(model, guide, pyro.optim.Adam({"lr": 1e-3}), loss=TraceMeanField_ELBO())

    def step():
        return svi.step(x) / x.shape[0]

    def first():
        values = [step() for _ in range(20)]
        return {"loss": sum(values[-5:]) / 5}

    def run():
        for _ in range(5):
            step()
        return 5

    return {"first": first, "run": run}


WORKLOADS = {"vae-step": vae_step}
