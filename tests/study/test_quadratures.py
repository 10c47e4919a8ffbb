"""The product's own quadratures against scipy's, which take a hundred times as long."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from tiktokactions.study.quadratures import OWN_QUADRATURES

LOOKED_AT = {
    "studentized_range": ([0.5, 1, 3, 9], [(1.5, 1.0), (3.0, 10.0), (40.0, 50.0)], 3e-5),
    # In standard deviations from the mean: scipy's integral misses the peak from far away.
    "norminvgauss": (
        [-4, -2, -0.4, 0, 0.3, 2, 4],
        [(0.02, 0.01), (1.0, 0.0), (1.0, 0.9), (1.0, -0.9), (30.0, 20.0), (400.0, 3.0)],
        1e-7,
    ),
    "norminvgauss at the edge": ([-4, -2, -0.4, 0, 0.3, 2, 4], [(2.0, 1.9999)], 1e-3),
}


@pytest.mark.parametrize(
    ("name", "shapes"), [(name, shapes) for name, (_, choices, _) in LOOKED_AT.items() for shapes in choices]
)
def test_quadrature_agrees_with_scipy(name, shapes):
    values, _, tolerance = LOOKED_AT[name]
    name = name.removesuffix(" at the edge")
    scipys = getattr(stats, name)
    if name == "norminvgauss":
        values = scipys.mean(*shapes) + np.array(values) * scipys.std(*shapes)
    ours = OWN_QUADRATURES[name].cdf(np.array([values], float), *(np.array([[shape]]) for shape in shapes))
    assert ours == pytest.approx(np.array([scipys.cdf(values, *shapes)]), abs=tolerance)


@pytest.mark.parametrize(("name", "shapes"), [("studentized_range", (3.0, 10.0)), ("norminvgauss", (1.0, 0.6))])
def test_quantiles_are_the_inverse(name, shapes):
    given = [np.array([[shape]]) for shape in shapes]
    shares = np.array([[0.01, 0.5, 0.95]])
    assert OWN_QUADRATURES[name].cdf(OWN_QUADRATURES[name].ppf(shares, *given), *given) == pytest.approx(
        shares, abs=1e-7
    )


def test_norminvgauss_outside_its_domain_is_no_number():
    found = OWN_QUADRATURES["norminvgauss"].cdf(np.array([[1.0]]), np.array([[1.0]]), np.array([[1.0]]))
    assert np.isnan(found).all()
