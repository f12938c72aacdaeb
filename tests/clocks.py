"""A clock that tests wind themselves: nothing depends on how fast the machine is."""

from __future__ import annotations

import sys

import pytest

#: The modules that look at a clock to decide something.
MODULES = ("numkan.train.attempt", "numkan.train.budget", "numkan.train.session")


class Clock:
    """Stands for the module `time`. Every look moves it by `tick`, and makes that `growth` times as large."""

    def __init__(self, tick: float, growth: float) -> None:
        self.now, self.tick, self.growth, self.looks = 0.0, tick, growth, 0

    def perf_counter(self) -> float:
        self.looks += 1
        self.now += self.tick
        self.tick *= self.growth
        return self.now

    def sleep(self, seconds: float) -> None:
        self.now += seconds


def wind(monkeypatch: pytest.MonkeyPatch, tick: float = 0.0, growth: float = 1.0) -> Clock:
    """Let numkan look at a new clock, which stands still unless it is told otherwise."""
    clock = Clock(tick, growth)
    for name in MODULES:
        monkeypatch.setattr(sys.modules[name], "time", clock)
    return clock
