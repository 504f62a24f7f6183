"""One thread or the whole team? Whichever is faster at the moment, found out while working.

On an idle machine a team wins; where its cores are busy with something else it loses, since its members wait for each
other. Results do not depend on the number of threads, so the choice may follow the clock.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

_PROBE = 8  # the first probes take one part in so many of an epoch
_LATER_PROBE = 16
_PROBE_EVERY = 8  # epochs


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
        self._epochs = 0

    @property
    def best(self) -> int:
        """The faster number of threads, as far as is known."""
        return min(self.seconds, key=self.seconds.__getitem__, default=self.members)

    def run(self, batches: int, work: Callable[[int, int], float]) -> None:
        """Do an epoch in stretches: ``work(threads, batches)`` does some batches and returns the seconds it took."""
        for threads, count in self._stretches(batches):
            seconds = work(threads, count) / count
            before = self.seconds.get(threads, seconds)
            self.seconds[threads] = 0.5 * (before + seconds)

    def _stretches(self, batches: int) -> Iterator[tuple[int, int]]:
        self._epochs += 1
        if self.members == 1 or not batches:
            yield from [(1, batches)] if batches else []
            return
        unknown = [m for m in (1, self.members) if m not in self.seconds]
        if not unknown and self._epochs % _PROBE_EVERY == 0:
            other = self.members if self.best == 1 else 1
            unknown, probe = [other], max(1, batches // _LATER_PROBE)
        else:
            probe = max(1, batches // _PROBE)
        for threads in unknown:
            if batches:
                count = min(probe, batches)
                batches -= count
                yield threads, count
        if batches:
            yield self.best, batches
