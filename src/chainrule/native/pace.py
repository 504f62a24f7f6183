"""One thread or the whole team? Whichever is faster at the moment, found out while working.

On an idle machine a team wins; where its cores are busy with something else it loses, since its members wait for each
other. Results do not depend on the number of threads, so the choice may follow the clock.
"""

from __future__ import annotations

from collections.abc import Callable
from math import ceil

# A team that has just been called works slowly for a millisecond: a core wakes up, and its caches are empty. So a trial
# has a part that does not count, and then lasts long enough.
_FIRST_PART = 8  # one part in so many of an epoch
_TRIAL_SECONDS = 8e-3
_LOST_SHARE = 1 / 40  # of the time may be lost by trials of what is slower
_LEAST_LOSS = 0.1  # of a trial

Work = Callable[[int, int], float]


class Pace:
    """Seconds per batch of one thread and of a team, as last seen.

    Parameters
    ----------
    members : int
        Of the team; 1: there is nothing to choose.
    """

    def __init__(self, members: int) -> None:
        self.members = members
        self.seconds: dict[int, float] = {}
        self._since = self._lost = 0.0  # seconds of work since the last trial, and lost by that one

    @property
    def best(self) -> int:
        """The faster number of threads, as far as is known."""
        return min(self.seconds, key=self.seconds.__getitem__, default=self.members)

    def run(self, batches: int, work: Work) -> None:
        """Do an epoch in stretches: ``work(threads, batches)`` does some batches and returns the seconds it took."""
        left = batches
        for threads in self._to_be_tried():
            left -= self._try(threads, batches, left, work)
        if left:
            threads = self.best
            seconds = max(work(threads, left), 1e-9)
            self._since += seconds
            self.seconds[threads] = 0.5 * (self.seconds[threads] + seconds / left)

    def _to_be_tried(self) -> list[int]:
        unknown = [m for m in (1, self.members)[: self.members] if m not in self.seconds]
        if unknown or self.members == 1 or self._since * _LOST_SHARE < self._lost:
            return unknown
        return [self.members if self.best == 1 else 1]

    def _try(self, threads: int, batches: int, left: int, work: Work) -> int:
        """Find out how fast it is; how many of the batches that are left were done by that."""
        first = min(left, ceil(batches / _FIRST_PART))
        if not first:
            return 0
        seconds = max(work(threads, first), 1e-9)  # a coarse clock may say 0
        self.seconds[threads] = seconds / first
        more = min(left - first, ceil(_TRIAL_SECONDS / self.seconds[threads]))
        if more:
            counted = max(work(threads, more), 1e-9)
            self.seconds[threads] = counted / more
            seconds += counted
        self._since, self._lost = 0.0, seconds * max(_LEAST_LOSS, 1 - self.seconds[self.best] / self.seconds[threads])
        return first + more
