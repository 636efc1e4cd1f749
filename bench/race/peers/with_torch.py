"""The workloads in PyTorch, eager, float32: what its users write."""
import math
import os

import torch
import torch.nn.functional as F

VERSION = "PyTorch " + torch.__version__
torch.set_num_threads(int(os.environ.get("RACE_THREADS", "1")))
torch.manual_seed(1)
LOG_2PI = math.log(2 * math.pi)


def tensors(inputs, grad=True):
    data = {"x", "y", "observed", "target", "base"}
    return {k: torch.tensor(v, requires_grad=grad and k not in data) for k, v in inputs.items()}


def layer(p, name, x):
    return torch.addmm(p[name + "/bias"], x, p[name + "/weight"]) if x.dim() == 2 else x @ p[name + "/weight"] + p[name + "/bias"]


def mlp(p, name, x, act=F.silu, last=None):
    depth = sum(1 for k in p if k.startswith(name + "/") and k.split("/")[1].isdigit() and k.endswith("weight"))
    for i in range(depth):
        x = layer(p, f"{name}/{i}", x)
        if i < depth - 1:
            x = act(x)
        elif last is not None:
            x = last(x)
    return x


def encode(p, x, act=F.silu):
    h = mlp(p, "encoder", x, act, act)
    return layer(p, "encoder/loc", h), F.softplus(layer(p, "encoder/scale", h)) + 1e-4


def normal_log_prob(x, loc, scale):
    return -0.5 * ((x - loc) / scale) ** 2 - torch.log(scale) - 0.5 * LOG_2PI


def training(p, loss, steps):
    leaves = [v for v in p.values() if v.requires_grad]
    optimizer = torch.optim.Adam(leaves, lr=1e-3)

    def step():
        optimizer.zero_grad()
        value = loss()
        value.backward()
        optimizer.step()
        return float(value)

    def first():
        values = [step() for _ in range(20)]
        return {"loss": sum(values[-5:]) / 5}

    def run():
        for _ in range(steps):
            step()
        return steps

    return {"first": first, "run": run}


def vae_step(inputs):
    p = tensors(inputs)
    x = p["x"]

    def loss():
        loc, scale = encode(p, x)
        z = loc + scale * torch.randn_like(loc)
        logits = mlp(p, "decoder", z)
        entropy = F.binary_cross_entropy_with_logits(logits, x, reduction="sum")
        kl = (0.5 * (loc ** 2 + scale ** 2 - 1) - torch.log(scale)).sum()
        return (entropy + kl) / x.shape[0]

    return training(p, loss, 5)


def energy_of(p):
    return lambda x: mlp(p, "energy", x).squeeze(-1)


def energy_step(inputs):
    p = tensors(inputs)
    energy = energy_of(p)

    def loss():
        target = p["target"].detach().requires_grad_(True)
        e, f = energy(target), energy(p["base"])
        (slope,) = torch.autograd.grad(e.sum(), target, create_graph=True)
        penalty = (slope ** 2).sum(-1).mean()
        return e.mean() - f.mean() + 0.25 * ((e ** 2).mean() + (f ** 2).mean()) + 0.1 * penalty

    return training(p, loss, 50)


CHAINS, STEPS, STEP = 1000, 1000, 0.01


def langevin(inputs):
    p = tensors(inputs, grad=False)
    energy = energy_of(p)

    def chain(steps):
        z = torch.randn(CHAINS, 2)
        for _ in range(steps):
            z = z.requires_grad_(True)
            (g,) = torch.autograd.grad((-energy(z) - 0.5 * (z ** 2).sum(-1)).sum(), z)
            z = (z + STEP * g + math.sqrt(2 * STEP) * torch.randn_like(z)).detach()
        return z

    def first():
        z = chain(STEPS)
        return {"square": float((z ** 2).sum(-1).mean())}

    def run():
        chain(STEPS)
        return STEPS

    return {"first": first, "run": run}


def snis(_):
    def estimate():
        z = torch.randn(1_000_000, 2)
        log_w = -0.5 * (z ** 2).sum(-1)
        log_z = torch.logsumexp(log_w, 0) - math.log(z.shape[0])
        w = torch.softmax(log_w, 0)
        return {"logZ": float(log_z), "ess": float(1 / (w ** 2).sum()) / 1e6, "square": float((w[:, None] * z ** 2).sum())}

    return {"first": estimate, "run": lambda: (estimate(), 1)[1]}


def snis_vae(inputs):
    p = tensors(inputs, grad=False)
    x, chunk, total = p["x"], 20, 10_000

    def estimate():
        parts = []
        with torch.no_grad():
            for _ in range(total // chunk):
                z = torch.randn(chunk * x.shape[0], 2)
                logits = mlp(p, "decoder", z).view(chunk, x.shape[0], -1)
                parts.append((logits * x - F.softplus(logits)).sum(-1))
        log_w = torch.cat(parts)
        return {"logEvidence": float((torch.logsumexp(log_w, 0) - math.log(total)).mean())}

    return {"first": estimate, "run": lambda: (estimate(), 1)[1]}


def iwae_step(inputs):
    p = tensors(inputs)
    x, k = p["x"], 50

    def loss():
        loc, scale = encode(p, x, torch.tanh)
        z = loc + scale * torch.randn(k, *loc.shape)
        logits = mlp(p, "decoder", z, torch.tanh)
        log_w = (logits * x - F.softplus(logits)).sum(-1)
        log_w = log_w + (normal_log_prob(z, torch.zeros(()), torch.ones(())) - normal_log_prob(z, loc, scale)).sum(-1)
        return -(torch.logsumexp(log_w, 0) - math.log(k)).mean()

    return training(p, loss, 10)


def notmiwae_step(inputs):
    p = tensors(inputs)
    x, s, k = p["x"], p["observed"], 20

    def loss():
        loc, scale = encode(p, x, torch.tanh)
        z = loc + scale * torch.randn(k, *loc.shape)
        mean = mlp(p, "decoder", z, torch.tanh)
        sd = F.softplus(p["decoder/log-scale"]) + 1e-3
        xm = mean + sd * torch.randn_like(mean)
        filled = torch.where(s == 1, x, xm)
        logits = F.softplus(p["mask/slope"]) * (filled - p["mask/shift"])
        # Larger values hide: p(observed) = sigmoid(-logit).
        log_s = -F.softplus(torch.where(s == 1, logits, -logits)).sum(-1)
        log_w = (normal_log_prob(x, mean, sd) * s).sum(-1) + log_s
        log_w = log_w + (normal_log_prob(z, torch.zeros(()), torch.ones(())) - normal_log_prob(z, loc, scale)).sum(-1)
        return -(torch.logsumexp(log_w, 0) - math.log(k)).mean()

    return training(p, loss, 50)


def mala(log_prob, dim, step, steps, chains=64):
    def chain():
        z = torch.randn(chains, dim)

        def value_and_grad(z):
            z = z.detach().requires_grad_(True)
            v = log_prob(z)
            (g,) = torch.autograd.grad(v.sum(), z)
            return v.detach(), g

        v, g = value_and_grad(z)
        accepted, square = 0.0, torch.zeros(())
        for i in range(steps):
            y = z + step * g + math.sqrt(2 * step) * torch.randn_like(z)
            w, h = value_and_grad(y)
            forward = ((y - z - step * g) ** 2).sum(-1) / (4 * step)
            back = ((z - y - step * h) ** 2).sum(-1) / (4 * step)
            take = torch.log(torch.rand(chains)) < w - v - back + forward
            z, v, g = torch.where(take[:, None], y, z), torch.where(take, w, v), torch.where(take[:, None], h, g)
            accepted += float(take.float().mean()) / steps
            if i >= steps // 2:
                square = square + (z ** 2).mean() / (steps - steps // 2)
        return {"acceptance": accepted, "square": float(square)}

    return {"first": chain, "run": lambda: (chain(), steps)[1]}


def mala_gaussian(_):
    return mala(lambda z: -0.5 * (z ** 2).sum(-1), 100, 0.1, 1000)


def mala_logistic(inputs):
    x, y = torch.tensor(inputs["x"]), torch.tensor(inputs["y"])

    def log_prob(beta):
        logits = beta @ x.T
        return (logits * y - F.softplus(logits)).sum(-1) - 0.5 * (beta ** 2).sum(-1)

    return mala(log_prob, x.shape[1], 0.002, 500)


WORKLOADS = {
    "vae-step": vae_step, "energy-step": energy_step, "langevin": langevin, "snis": snis, "snis-vae": snis_vae,
    "iwae-step": iwae_step, "notmiwae-step": notmiwae_step, "mala-gaussian": mala_gaussian, "mala-logistic": mala_logistic,
}
