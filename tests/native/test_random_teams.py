"""Random steps on teams; ``python tests/native/random_teams.py 1000`` tries more."""

import random
from dataclasses import replace

import numpy as np
import pytest
from random_teams import build_step, everything_is_shared, no_races, same_bits

from chainrule.native.epoch_plan import plan_epoch
from chainrule.native.target import Target


def made(seed):
    with np.errstate(all="ignore"):
        return build_step(random.Random(seed).randint, ("float32", "float64")[seed % 2])


@pytest.mark.parametrize("seed", [2, 5, 8])
def test_bits_of_random_steps_do_not_depend_on_the_team(seed):
    with everything_is_shared():
        assert same_bits(made(seed), threads=(1, 2, 4)) > 5


def test_the_check_of_races_notices_a_missing_wait():
    graph, carry, _, batch = made(2)
    with everything_is_shared():
        plan = plan_epoch(graph, len(carry), 0, batch, Target.host(), 2, False)
        no_races(plan)
        noticed = 0
        for wait in plan.team.waits:
            fewer = replace(plan.team, waits=plan.team.waits - {wait})
            try:
                no_races(replace(plan, team=fewer))
            except AssertionError:
                noticed += 1
    assert noticed >= len(plan.team.waits) // 2
