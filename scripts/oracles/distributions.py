"""Distributions: log-density, distribution function (none for counts), and integrals or sums of the density."""

import math

from common import f32, number
from mpmath import mp, mpf


class Family:
    def __init__(self, log_density, cdf, sampled, points, support=None, moments=True):
        self.log_density, self.cdf, self.sampled, self.points = log_density, cdf, sampled, points
        self.support, self.moments = support, moments


def grid(params, values):
    """Every parameter list with the values that it is asked for."""
    return [([f32(v) for v in p], f32(x)) for p in params for x in values(*p)]


def integrals(log_density, ends, k=1):
    """Mean, variance and entropy. `ends` cut the support into pieces; x = y^k makes an integrable pole at zero a root."""
    density = lambda y: mp.exp(log_density(y**k)) * k * y ** (k - 1) if y != 0 or k == 1 else mpf(0)
    cuts = [e if abs(e) == mp.inf else mp.sign(e) * mp.root(abs(e), k) for e in map(mpf, ends)]
    weigh = lambda g: mp.quad(lambda y: g(y**k) * density(y), cuts)
    mass = weigh(lambda x: 1)
    assert abs(mass - 1) < mpf(10) ** -18, mass
    mean = weigh(lambda x: x)
    # p log p is 0 where p is.
    surprise = lambda y: -density(y) * log_density(y**k) if density(y) > 0 else mpf(0)
    return mean, weigh(lambda x: (x - mean) ** 2), mp.quad(surprise, cuts)


def sums(log_mass, last):
    """As integrals, of counts 0 … last."""
    logs = [log_mass(k) for k in range(last + 1)]
    masses = [mp.exp(l) for l in logs]
    assert abs(mp.fsum(masses) - 1) < mpf(10) ** -20
    mean = mp.fsum(k * p for k, p in enumerate(masses))
    variance = mp.fsum((k - mean) ** 2 * p for k, p in enumerate(masses))
    return mean, variance, -mp.fsum(p * l for p, l in zip(masses, logs) if p > 0)


Z = [-8, -3, -1, -0.3, 0, 0.01, 1, 2.5, 8]
LOC_SCALE = [[0, 1], [-3, 0.5], [100, 20], [1e-20, 1e-30], [-2e30, 3e25], [4, 1e10]]
LOC_SAMPLED = [[0, 1], [-3, 0.5], [100, 20]]
at_z = lambda m, s: [m + z * s for z in Z] + [m + 40 * s, m - 300 * s]
real_ends = lambda m, s: [-mp.inf] + [m + s * z for z in (-30, -10, -3, 0, 3, 10, 30)] + [mp.inf]
logistic_log = lambda z: -z - 2 * mp.log1p(mp.exp(-z))


def location_scale(log_standard, cdf_standard, moments=True):
    return Family(
        lambda x, m, s: log_standard((x - m) / s) - mp.log(s),
        lambda x, m, s: cdf_standard((x - m) / s),
        LOC_SAMPLED,
        grid(LOC_SCALE, at_z),
        real_ends,
        moments,
    )


def half(log_standard, cdf_standard, moments=True):
    return Family(
        lambda x, s: mp.log(2) + log_standard(x / s) - mp.log(s),
        lambda x, s: 2 * cdf_standard(x / s) - 1,
        [[1], [30]],
        grid([[1], [30], [1e-30], [1e30], [0.07]], lambda s: [z * s for z in (0, 1e-6, 0.1, 1, 3, 8, 40)]),
        lambda s: [0] + [s * z for z in (1, 3, 10, 30)] + [mp.inf],
        moments,
    )


log_normal_standard = lambda z: -z * z / 2 - mp.log(2 * mp.pi) / 2
log_cauchy_standard = lambda z: -mp.log(mp.pi) - mp.log1p(z * z)
cauchy_cdf = lambda z: mp.mpf(1) / 2 + mp.atan(z) / mp.pi
laplace_cdf = lambda z: mp.exp(z) / 2 if z < 0 else 1 - mp.exp(-z) / 2


def truncated_log(x, m, s, a, b):
    return log_normal_standard((x - m) / s) - mp.log(s) - mp.log(mass_between((a - m) / s, (b - m) / s))


def mass_between(a, b):
    """Φ(b) − Φ(a), from the side where neither is near one."""
    if a > 0:
        a, b = -b, -a
    return mp.ncdf(b) - mp.ncdf(a)


def gamma_log(x, a, b):
    return a * mp.log(b) + (a - 1) * mp.log(x) - b * x - mp.loggamma(a)


def beta_log(x, a, b):
    return (a - 1) * mp.log(x) + (b - 1) * mp.log1p(-x) - mp.log(mp.beta(a, b))


def student_log(x, v, m, s):
    z = (x - m) / s
    return (
        mp.loggamma((v + 1) / 2)
        - mp.loggamma(v / 2)
        - mp.log(mp.pi * v) / 2
        - mp.log(s)
        - (v + 1) / 2 * mp.log1p(z * z / v)
    )


def student_cdf(x, v, m, s):
    z = (x - m) / s
    tail = mp.betainc(v / 2, mpf(1) / 2, 0, v / (v + z * z), regularized=True) / 2
    return tail if z < 0 else 1 - tail


def log_choose(n, k):
    return mp.loggamma(n + 1) - mp.loggamma(k + 1) - mp.loggamma(n - k + 1)


sigmoid = lambda l: 1 / (1 + mp.exp(-l))
binomial_log = (
    lambda k, n, p: log_choose(n, k) + (k * mp.log(p) if k else 0) + ((n - k) * mp.log1p(-p) if n != k else 0)
)
geometric_log = lambda k, p: mp.log(p) + k * mp.log1p(-p)
bernoulli_log = lambda x, l: x * l - mp.log1p(mp.exp(l))
counts = lambda n, p: sorted({0, 1, int(n * p / 2), int(n * p), min(n, int(n * p) + 3), n})
LARGE = 400

FAMILIES = {
    "normal": location_scale(log_normal_standard, mp.ncdf),
    "cauchy": location_scale(log_cauchy_standard, cauchy_cdf, moments=False),
    "laplace": location_scale(lambda z: -abs(z) - mp.log(2), laplace_cdf),
    "logistic": location_scale(logistic_log, sigmoid),
    "logNormal": Family(
        lambda x, m, s: log_normal_standard((mp.log(x) - m) / s) - mp.log(s) - mp.log(x),
        lambda x, m, s: mp.ncdf((mp.log(x) - m) / s),
        [[0, 0.25], [-3, 0.5]],
        grid(
            [[0, 0.25], [-3, 0.5], [40, 0.05], [-40, 2], [3, 20]],
            lambda m, s: [x for x in [math.exp(m + z * s) for z in Z] + [1e-37, 1, 1e37] if 1.2e-38 < x < 3e38],
        ),
        lambda m, s: [0] + [mp.exp(m + s * z) for z in (-12, -5, -2, 0, 2, 5, 12)] + [mp.inf],
    ),
    "halfNormal": half(log_normal_standard, mp.ncdf),
    "halfCauchy": half(log_cauchy_standard, cauchy_cdf, moments=False),
    "exponential": Family(
        lambda x, r: mp.log(r) - r * x,
        lambda x, r: -mp.expm1(-r * x),
        [[1], [0.01]],
        grid([[1], [0.01], [1e30], [1e-30], [7]], lambda r: [z / r for z in (0, 1e-6, 0.3, 1, 5, 20)]),
        lambda r: [0, 1 / r, 5 / r, 30 / r, mp.inf],
    ),
    "uniform": Family(
        lambda x, a, b: -mp.log(b - a),
        lambda x, a, b: (x - a) / (b - a),
        [[0, 1], [-7, -3]],
        grid([[0, 1], [-7, -3], [-1e37, 1e37], [1e-30, 2e-30]], lambda a, b: [a, a + (b - a) / 4, (a + b) / 2, b]),
        lambda a, b: [a, b],
    ),
    "truncatedNormal": Family(
        truncated_log,
        lambda x, m, s, a, b: mass_between((a - m) / s, (x - m) / s) / mass_between((a - m) / s, (b - m) / s),
        [
            [0, 1, -1, 2],
            [1, 2, -30, 1.5],
            [0, 1, 2, 3],
            [0, 1, -3, -1],
            [0, 1, 15, 16],
            [3, 0.5, 3, 3.001],
            [-2, 0.1, 1, 40],
        ],
        grid(
            [
                [0, 1, -1, 2],
                [1, 2, -30, 1.5],
                [0, 1, 2, 3],
                [0, 1, -3, -1],
                [0, 1, 15, 16],
                [3, 0.5, 3, 3.001],
                [-2, 0.1, 1, 40],
                [2, 3, 200, 260],
            ],
            lambda m, s, a, b: [a, a + (b - a) / 16, a + (b - a) / 3, (a + b) / 2, b - (b - a) / 16, b],
        ),
        lambda m, s, a, b: sorted(
            {mpf(a), mpf(b)}
            | {
                t
                for t in [mpf(m) + s * z for z in (-8, -3, -1, 0, 1, 3, 8)] + [mpf(a) + s * z for z in (0.03, 0.3, 3)]
                if a < t < b
            }
        ),
    ),
    "gamma": Family(
        gamma_log,
        lambda x, a, b: mp.gammainc(a, 0, b * x, regularized=True),
        [[0.3, 2], [1, 1], [4.5, 0.1]],
        grid(
            [[0.3, 2], [1, 1], [4.5, 0.1], [1e-3, 1], [60, 1e3], [1e3, 1e-3]],
            lambda a, b: [max(1e-37, (a + z * math.sqrt(a)) / b) for z in (-4, -2, -0.5, 0, 1, 4)] + [1e-30, 1e-3 / b],
        )
        + grid([[1e6, 3]], lambda a, b: [a / b, a / b + 2 * math.sqrt(a) / b]),
        lambda a, b: [0]
        + [x for x in (mpf(a + z * math.sqrt(a)) / b for z in (-5, -2, 0, 2, 5, 12, 30)) if x > 0]
        + [mp.inf],
    ),
    "inverseGamma": Family(
        lambda x, a, b: a * mp.log(b) - (a + 1) * mp.log(x) - b / x - mp.loggamma(a),
        lambda x, a, b: mp.gammainc(a, b / x, mp.inf, regularized=True),
        [[5, 2], [8, 0.5]],
        grid(
            [[5, 2], [8, 0.5], [1e-3, 1], [300, 1e-3]],
            lambda a, b: [b / (a + 1) * r for r in (0.2, 0.5, 0.9, 1, 1.5, 5, 1e6)],
        ),
        lambda a, b: [0] + [mpf(b) / (a + 1) * r for r in (0.2, 0.5, 1, 2, 5, 20, 100)] + [mp.inf],
    ),
    "beta": Family(
        beta_log,
        lambda x, a, b: mp.betainc(a, b, 0, x, regularized=True),
        [[0.5, 0.7], [2, 5], [30, 3]],
        grid(
            [[0.5, 0.7], [2, 5], [30, 3], [1e-3, 1e-3], [1e-3, 200], [700, 1]],
            lambda a, b: [1e-37, 1e-6, 0.03, 0.3, 0.5, 0.9, 0.999, 1 - 2**-20],
        ),
    ),
    "studentT": Family(
        student_log,
        student_cdf,
        [[5, 1, 2], [12, -3, 0.5]],
        grid(
            [[5, 1, 2], [12, -3, 0.5], [1e-2, 0, 1], [1, -10, 1e3], [1e6, 3, 1e-3]],
            lambda v, m, s: [m + z * s for z in (-40, -8, -2, -0.1, 0, 1, 3)] + [1e30],
        ),
        lambda v, m, s: real_ends(m, s),
    ),
    "poisson": Family(
        lambda k, r: k * mp.log(r) - r - mp.loggamma(k + 1),
        None,
        [[0.4], [7], [60]],
        grid(
            [[0.4], [7], [60], [1e-6], [1e6]],
            lambda r: [0, 1, int(r / 2), int(r), int(r + 2 * math.sqrt(r)), int(2 * r + 5)],
        ),
        lambda r: LARGE,
    ),
    "binomial by logits": Family(
        lambda k, n, l: log_choose(n, k) - k * mp.log1p(mp.exp(-l)) - (n - k) * mp.log1p(mp.exp(l)),
        None,
        [[10, -0.5], [300, 1]],
        grid([[10, -0.5], [300, 1], [1, 3], [1e5, -12], [40, 12]], lambda n, l: counts(int(n), 1 / (1 + math.exp(-l)))),
        lambda n, l: int(n),
    ),
    "binomial by probs": Family(
        binomial_log,
        None,
        [[10, 0.3], [40, 0.9]],
        grid([[10, 0.3], [40, 0.9], [1, 0.5], [1e5, 0.001], [300, 0.999]], lambda n, p: counts(int(n), p)),
        lambda n, p: int(n),
    ),
    "geometric by probs": Family(
        geometric_log,
        None,
        [[0.2], [0.7]],
        grid([[0.2], [0.7], [1e-6], [0.999]], lambda p: [0, 1, int(1 / p), int(5 / p)]),
        lambda p: LARGE,
    ),
    "geometric by logits": Family(
        lambda k, l: -mp.log1p(mp.exp(-l)) - k * mp.log1p(mp.exp(l)),
        None,
        [[-1]],
        grid([[-1], [12], [-12]], lambda l: [0, 1, int(math.exp(-l)), int(5 * math.exp(-l))]),
        lambda l: LARGE,
    ),
    "bernoulli by logits": Family(
        bernoulli_log, None, [[0.4]], grid([[0.4], [80], [-80], [-9]], lambda l: [0, 1]), lambda l: 1
    ),
    "bernoulli by probs": Family(
        lambda x, p: mp.log(p) if x == 1 else mp.log1p(-p),
        None,
        [[0.3]],
        grid([[0.3], [1e-37], [0.999], [0.5]], lambda p: [0, 1]),
        lambda p: 1,
    ),
    "bernoulli of grey values": Family(
        bernoulli_log, None, [[-0.4]], grid([[-0.4], [30], [-30]], lambda l: [0, 0.25, 0.5, 1]), lambda l: 1
    ),
}


def beta_integrals(a, b):
    """Each half from its own end, so that 1 − x keeps its digits, in y = x^(1/k) as above."""
    k = 12
    cuts = [0, mp.root(mpf(1) / 4, k), mp.root(mpf(1) / 2, k)]

    def half_integral(g, a, b):
        return mp.quad(lambda y: g(y**k) * mp.exp(beta_log(y**k, a, b)) * k * y ** (k - 1) if y > 0 else mpf(0), cuts)

    whole = lambda g: half_integral(g, a, b) + half_integral(lambda x: g(1 - x), b, a)
    assert abs(whole(lambda x: 1) - 1) < mpf(10) ** -18
    mean = whole(lambda x: x)
    entropy = -half_integral(lambda x: beta_log(x, a, b), a, b) - half_integral(lambda x: beta_log(x, b, a), b, a)
    return mean, whole(lambda x: (x - mean) ** 2), entropy


def cauchy_entropy(scale, half_line):
    """∫ −p log p over angles, x = tan θ, where the integrand is log cos and log s."""
    angles = [mp.pi * i / 4 for i in (-2, -1, 0, 1, 2)]
    whole = mp.quad(lambda t: -(log_cauchy_standard(mp.tan(t)) - mp.log(scale)) / mp.pi, angles)
    return whole - mp.log(2) if half_line else whole


def moments_of(name, family, params):
    exact = [mpf(p) for p in params]
    if name == "beta":
        return beta_integrals(*exact)
    if not family.moments:
        return None, None, cauchy_entropy(exact[-1], name.startswith("half"))
    density = lambda x: family.log_density(mpf(x), *exact)
    ends = family.support(*exact)
    if isinstance(ends, int):
        return sums(density, ends)
    return integrals(density, ends, 12 if name == "gamma" else 1)


def distribution(name, family):
    rows = []
    for params, x in family.points:
        exact = [mpf(p) for p in params]
        value = number(family.log_density(mpf(x), *exact))
        cdf = None if family.cdf is None else number(family.cdf(mpf(x), *exact))
        rows.append([params, x, value, cdf])
    moments = []
    for sample in family.sampled:
        params = [f32(p) for p in sample]
        with mp.workdps(30):
            moments.append([params] + [None if m is None else number(m) for m in moments_of(name, family, params)])
    return {"points": rows, "moments": moments}


def all_distributions():
    return {name: distribution(name, family) for name, family in FAMILIES.items()}
