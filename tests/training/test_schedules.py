"""The paper's learning rate (specification 4.7, invariant 14) and the cosine."""

import pytest

from vidrec.training.schedules import (
    constant,
    cosine_decay,
    milestone_decay,
    step_decay,
    warm_up,
)


def test_step_decay_of_the_paper():
    rates = [step_decay(epoch, rate=0.05) for epoch in (0, 9, 10, 20, 30, 40, 50)]
    assert rates == pytest.approx([0.05, 0.05, 0.01, 0.002, 0.0004, 0.0001, 0.0001])


def test_step_decay_after_thawing_starts_at_0_005():
    rates = [step_decay(epoch, rate=0.005) for epoch in (0, 10, 20, 30)]
    assert rates == pytest.approx([0.005, 0.001, 0.0002, 0.0001])


def test_cosine_decay_falls_from_rate_to_minimum():
    rates = [cosine_decay(epoch, rate=0.4, epochs=4, minimum=0.2) for epoch in range(5)]
    assert rates == pytest.approx([0.4, 0.37071068, 0.3, 0.22928932, 0.2])


def test_milestones_of_t_stam():
    rates = [milestone_decay(e, rate=0.001, at=[30, 60], factor=0.1) for e in (0, 29, 30, 59, 60)]
    assert rates == pytest.approx([1e-3, 1e-3, 1e-4, 1e-4, 1e-5])


def test_a_constant_rate_has_no_floor():
    assert [constant(epoch, rate=1e-6) for epoch in (0, 500)] == [1e-6, 1e-6]


def test_the_rate_warms_up():
    rates = [warm_up(epoch, rate_of=lambda epoch: 8.0 - epoch, epochs=4) for epoch in range(6)]
    assert rates == [2.0, 3.5, 4.5, 5.0, 4.0, 3.0]
