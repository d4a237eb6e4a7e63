"""The paper's learning rate (specification 4.7, invariant 14) and the cosine."""

import pytest

from vidrec.training.schedules import cosine_decay, step_decay


def test_step_decay_of_the_paper():
    rates = [step_decay(epoch, rate=0.05) for epoch in (0, 9, 10, 20, 30, 40, 50)]
    assert rates == pytest.approx([0.05, 0.05, 0.01, 0.002, 0.0004, 0.0001, 0.0001])


def test_step_decay_after_thawing_starts_at_0_005():
    rates = [step_decay(epoch, rate=0.005) for epoch in (0, 10, 20, 30)]
    assert rates == pytest.approx([0.005, 0.001, 0.0002, 0.0001])


def test_cosine_decay_falls_from_rate_to_minimum():
    rates = [cosine_decay(epoch, rate=0.4, epochs=4, minimum=0.2) for epoch in range(5)]
    assert rates == pytest.approx([0.4, 0.37071068, 0.3, 0.22928932, 0.2])
