"""Schedules: one step at a time and many at once give the same bits."""

import numpy as np
import pytest

import chainrule
from chainrule.schedules import SCHEDULES

SOME = {"constant": chainrule.Constant(0.3), "linear": chainrule.Linear(0.7, 0.1)}


@pytest.mark.parametrize("name", SCHEDULES)
def test_many_steps_at_once_have_the_bits_of_each(name):
    rate, steps = SOME[name], 51_419
    at_once = np.broadcast_to(rate(np.arange(steps, dtype=np.float64), steps), steps)
    one_by_one = np.array([rate(step, steps) for step in range(steps)])
    assert at_once.tobytes() == one_by_one.tobytes()


@pytest.mark.parametrize("name", SCHEDULES)
def test_a_schedule_trains_as_the_same_rates_from_a_callable(name, backend, rng):
    x, y = rng.random((30, 5)), rng.integers(0, 3, 30)
    one, other = (chainrule.Network([5, 4, 3], backend=backend) for _ in range(2))
    one.fit(x, y, epochs=2, learning_rate=SOME[name])
    one_at_a_time = lambda step, steps: SOME[name](step, steps)  # noqa: E731, PLW0108 - no schedule
    other.fit(x, y, epochs=2, learning_rate=one_at_a_time)
    assert one.fingerprint() == other.fingerprint()
    assert one.steps_done == 60
