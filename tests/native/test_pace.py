"""The choice between one thread and a team."""

from chainrule.native.pace import Pace


def record(pace, epochs, batches, speed):
    """Run epochs where n threads take ``speed[n]`` seconds per batch; the batches done by each number."""
    done = {}
    for _ in range(epochs):
        counts = []

        def work(threads, count, counts=counts):
            counts.append(count)
            done[threads] = done.get(threads, 0) + count
            return speed[threads] * count

        pace.run(batches, work)
        assert sum(counts) == batches
    return done


def test_the_faster_one_does_nearly_all_the_work():
    done = record(Pace(4), 20, 100, {1: 1.0, 4: 0.4})
    assert done[4] > 15 * done[1]
    done = record(Pace(4), 20, 100, {1: 1.0, 4: 3.0})
    assert done[1] > 15 * done[4]


def test_changes_its_mind_when_the_machine_does():
    pace = Pace(2)
    record(pace, 10, 100, {1: 1.0, 2: 3.0})
    assert pace.best == 1
    record(pace, 60, 100, {1: 1.0, 2: 0.5})
    assert pace.best == 2


def test_short_epochs():
    for batches in (0, 1, 2, 3):
        record(Pace(3), 5, batches, {1: 1.0, 3: 0.5})
    assert set(record(Pace(1), 3, 10, {1: 1.0})) == {1}


def test_a_hiccup_in_a_trial_is_outlived():
    """Got through: after a slow beginning a single batch decided, for many epochs."""
    pace, counted = Pace(2), []

    def work(threads, count):
        if threads == 2:
            counted.append(count)
        return count * 1e-3 if threads == 1 or len(counted) == 1 else count * 0.5e-3

    pace.run(64, work)
    assert counted[1] >= 8
    assert pace.best == 2
