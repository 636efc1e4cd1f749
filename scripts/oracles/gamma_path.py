"""The slope of a gamma draw: d log x/dα at fixed F(x; α), by differences of whichever tail is small."""

from common import f32, logarithmic, number
from distributions import gamma_log
from mpmath import mp, mpf


def gamma_slopes():
    for alpha in [f32(a) for a in logarithmic(0.01, 20_000, 36)]:
        a = mpf(alpha)
        scores = (-5, -4, -2.5, -1, -0.3, 0, 0.4, 1.5, 3, 5)
        positions = {max(1 - 1 / (9 * a) + z / (3 * mp.sqrt(a)), mpf(0)) ** 3 * a for z in scores}
        positions |= {a * mpf(10) ** -k for k in (3, 10, 30)} if alpha < 3 else set()
        for x in sorted(float(p) for p in positions if p > mpf(10) ** -40):
            exact = mpf(x)
            upper = exact > a
            tail = lambda s: mp.gammainc(s, *((exact, mp.inf) if upper else (0, exact)), regularized=True)
            slope = mp.diff(tail, a) * (1 if upper else -1) / (exact * mp.exp(gamma_log(exact, a, mpf(1))))
            yield [alpha, x, number(slope)]
