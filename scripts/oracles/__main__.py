"""Values of special functions and distributions in arbitrary precision, for the tests.

    python3 -m venv VENV && VENV/bin/pip install mpmath==1.4.1 && VENV/bin/python scripts/oracles

writes tests/fixtures/{special,distributions,gamma-path}.json in a minute. Every function comes from its definition or
from mpmath; derivatives are mpmath's differences at 60 digits; means, variances and entropies are integrals or sums of the
density. Arguments are numbers of float32, so that single and double precision see the same ones. The points are fixed: a
second run writes the same files.
"""

from common import write
from distributions import all_distributions
from gamma_path import gamma_slopes
from special import all_special

write("special", all_special())
write("distributions", all_distributions())
write("gamma-path", list(gamma_slopes()))
