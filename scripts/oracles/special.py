"""Special functions: definition, domain, where derivatives are stored too, points."""

from common import EPS, TINY, linear, logarithmic, near, number, tidy
from mpmath import mp, mpf


def log_ndtr(x):
    return mp.log(mp.erfc(-x / mp.sqrt(2)) / 2)


def inverse_mills(x):
    return mp.npdf(x) / (mp.erfc(-x / mp.sqrt(2)) / 2)


def ndtri(p):
    """The root of log Φ(x) = log p, by Newton."""
    p = mpf(p)
    if p > 0.5:
        return -ndtri(1 - p)
    target = mp.log(p)
    x = -mp.sqrt(-2 * target) if p < 0.1 else (p - 0.5) * mp.sqrt(2 * mp.pi)
    for _ in range(200):
        step = (log_ndtr(x) - target) / inverse_mills(x)
        x -= step
        if abs(step) < mpf(10) ** (8 - mp.dps) * max(abs(x), mpf(10) ** -30):
            break
    return x


def stirling(x):
    return mp.loggamma(x) - ((x - mpf(1) / 2) * mp.log(x) - x + mp.log(2 * mp.pi) / 2)


POSITIVE = logarithmic(1e-37, 1e36, 74) + logarithmic(0.01, 1e4, 80)
BOTH = lambda far, middle: linear(-middle, middle, 121) + [s * x for x in logarithmic(1e-30, far, 50) for s in (-1, 1)]

SPECIAL = {
    "lgamma": (mp.loggamma, (1e-37, 1e36), (0.01, 1e4), POSITIVE),
    "lgamma near its zeros": (
        mp.loggamma,
        (0.9, 2.5),
        (0.9, 2.5),
        linear(0.9, 2.5, 60) + near(1, 1e-7, 0.1, 20) + near(2, 1e-7, 0.1, 20),
    ),
    "digamma": (mp.digamma, (1e-37, 1e37), (0.01, 1e4), POSITIVE),
    "digamma near its root": (
        mp.digamma,
        (1.2, 1.8),
        (1.2, 1.8),
        linear(1.2, 1.8, 60) + near(1.4616321449683622, 1e-7, 0.1, 20),
    ),
    "trigamma": (lambda x: mp.psi(1, x), (1e-18, 1e37), (0.01, 1e4), POSITIVE),
    "stirlingCorrection": (stirling, (1e-30, 1e30), (0.01, 20), POSITIVE),
    "erf": (mp.erf, (-6, 6), (-3, 3), BOTH(1, 6)),
    "erfc": (mp.erfc, (-6, 9.1), (-3, 8), BOTH(1, 9.1)),
    "logErfc": (lambda x: mp.log(mp.erfc(x)), (-5, 1e18), (-2, 1e3), BOTH(1e18, 10)),
    "erfinv": (
        lambda y: ndtri((1 + y) / 2) / mp.sqrt(2),
        (-1 + EPS, 1 - EPS),
        (-0.99, 0.99),
        linear(-0.999, 0.999, 101)
        + [s * x for x in logarithmic(1e-30, 0.1, 20) for s in (-1, 1)]
        + near(1, EPS, 0.1, 20)
        + near(-1, EPS, 0.1, 20),
    ),
    "ndtr": (lambda x: mp.erfc(-x / mp.sqrt(2)) / 2, (-12.9, 8), (-8, 3), BOTH(1, 12.9)),
    "logNdtr": (log_ndtr, (-1e18, 12), (-1e3, 4), BOTH(1e18, 12)),
    "inverseMills": (inverse_mills, (-1e15, 12), (-200, 4), BOTH(1e15, 12)),
    "ndtri": (
        ndtri,
        (TINY, 1 - EPS),
        (1e-6, 0.999),
        linear(0.001, 0.999, 101) + logarithmic(TINY, 0.5, 60) + near(1, EPS, 0.1, 20) + near(0.5, 1e-6, 0.1, 10),
    ),
    "log1p": (mp.log1p, (-1 + EPS, 1e38), (-0.99, 1e3), BOTH(1e38, 0.99) + near(-1, EPS, 0.1, 15)),
    "expm1": (mp.expm1, (-80, 80), (-10, 20), BOTH(1, 80)),
    "log1mexp": (
        lambda x: mp.log(-mp.expm1(x)),
        (-80, -1e-30),
        (-20, -1e-3),
        [-x for x in logarithmic(1e-30, 80, 160)],
    ),
    # These are held against the tests' own double precision only.
    "erfcx": (lambda x: mp.exp(x * x) * mp.erfc(x), (-5, 1e18), None, BOTH(1e18, 30)),
    "log1pmx": (lambda x: mp.log1p(x) - x, (-0.9, 0.9), None, BOTH(0.9, 0.9)),
    "erfcinv": (
        lambda q: -ndtri(q / 2) / mp.sqrt(2),
        (TINY, 1.9),
        None,
        linear(0.01, 1.9, 101) + logarithmic(TINY, 0.5, 60),
    ),
}


def special_rows(f, domain, smooth, points):
    for x in tidy(points, *domain):
        # What cancels, at most x² against itself, takes the digits of x² at 1e37.
        with mp.workdps(160):
            value = f(mpf(x))
        row = [x, number(value)]
        if smooth is not None and smooth[0] <= x <= smooth[1]:
            row += [number(mp.diff(f, mpf(x), n)) for n in (1, 2)]
        yield row


def all_special():
    return {name: list(special_rows(*case)) for name, case in SPECIAL.items()}
