"""Which pairs are proposed for a comparison."""

from __future__ import annotations

import numpy as np
import pytest

from tiktokactions.copies.proposals import stable_order

RANDOM = np.random.default_rng(0)


@pytest.mark.parametrize(
    "keys",
    [
        pytest.param(np.zeros(0), id="none"),
        pytest.param(np.zeros(1000), id="all the same"),
        pytest.param(RANDOM.integers(0, 2**63, 5000) * 2 + 1, id="hardly any the same"),
        pytest.param(RANDOM.integers(0, 50, 5000), id="they differ in the last bits"),
        pytest.param((RANDOM.integers(0, 50, 5000) << 58) | RANDOM.integers(0, 9, 5000), id="at both ends"),
    ],
)
def test_keys_are_put_in_the_order_of_a_stable_sort(keys):
    keys = keys.astype(np.uint64)
    assert stable_order(keys).tolist() == np.argsort(keys, kind="stable").tolist()
