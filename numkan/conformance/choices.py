"""The choices that a case is made of: given in part, drawn from a seed, and made simpler if a case breaks a law.

Every choice is a tuple of integers from 0, which is the simplest, up. Choices form *streams*, one for each part of a
case (its knots, its points, ...), so that a part can be shortened while the others stay as they are.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypeAlias

import numpy as np

__all__ = ["Choices", "Given", "Seeded", "Streams", "simpler"]

#: Choices that are given: None in place of an integer leaves it to be drawn.
Given: TypeAlias = Mapping[str, Sequence[tuple[int | None, ...]]]
Entries: TypeAlias = list[tuple[int, ...]]
Streams: TypeAlias = dict[str, Entries]

_BITS = 21  # of a number between two ends


class Choices:
    """A source of choices, from which integers, options and numbers are made."""

    def entry(self, stream: str, *most: int) -> tuple[int, ...]:
        """Return the next choice of a stream, integers from 0 to `most`."""
        raise NotImplementedError

    def integer(self, stream: str, low: int, high: int) -> int:
        """Return an integer; the simplest is `low`."""
        return low + self.entry(stream, high - low)[0]

    def pick(self, stream: str, options: Sequence[Any]) -> Any:
        """Return one of some options, the simplest first."""
        return options[self.entry(stream, len(options) - 1)[0]]

    def count(self, stream: str, low: int, high: int) -> range:
        """Return the places of the choices that follow in a stream, so that simpler ones may be fewer."""
        return range(self.integer(f"number of {stream}", low, high))

    def number(self, stream: str, reach: float) -> float:
        """Return a number of [-reach, reach), few bits first: 0, -1, 1/2, -1/2, 1/4, ... times the reach."""
        share = fraction(self.entry(stream, 2**_BITS - 1)[0])
        return reach * 2 * (share - 1 if share >= 0.5 else share)


def fraction(place: int) -> float:
    """Return a dyadic fraction of [0, 1): the smaller its place, the fewer its bits.

    >>> [fraction(place) for place in range(5)]
    [0.0, 0.5, 0.25, 0.75, 0.125]
    """
    return float(int(f"{place:0{_BITS}b}"[::-1], 2) / 2**_BITS)


class Seeded(Choices):
    """Choices that are given in part, and drawn beyond that; without a seed the simplest."""

    def __init__(self, seed: Sequence[int] | None, given: Given) -> None:
        self._rng = None if seed is None else np.random.default_rng(seed)
        self._given = given
        self.made: Streams = {}

    def entry(self, stream: str, *most: int) -> tuple[int, ...]:
        """Return the next choice of a stream, integers from 0 to `most`."""
        made = self.made.setdefault(stream, [])
        given = self._given.get(stream, ())
        wanted = given[len(made)] if len(made) < len(given) else (None,) * len(most)
        made.append(tuple(self._drawn(one, limit) for one, limit in zip(wanted, most, strict=True)))
        return made[-1]

    def _drawn(self, wanted: int | None, limit: int) -> int:
        if wanted is not None:
            return min(wanted, limit)
        return 0 if self._rng is None else int(self._rng.integers(limit + 1))


def simpler(streams: Streams, breaks: Callable[[Streams], Streams | None], tries: int) -> None:
    """Make choices simpler, one after the other, as long as their case breaks a law.

    `breaks` tries the case of some choices, and returns all that it has taken, or None where the law holds.
    """
    search = _Simpler(streams, breaks, tries)
    while search.improved and search.tries > 0:
        search.improved = False
        search.whole_streams()
        search.fewer()
        search.lower()


#: The values that an integer is lowered to: zero, half, itself without its highest bit, and one less if it is small.
_LOWER: tuple[Callable[[int], int], ...] = (
    lambda n: 0,
    lambda n: n >> 1,
    lambda n: n & ~(1 << n.bit_length() >> 1),
    lambda n: max(n - 1, n & ~7),
)


class _Simpler:
    """The simplest choices so far, and the moves that are tried on them."""

    def __init__(self, streams: Streams, breaks: Callable[[Streams], Streams | None], tries: int) -> None:
        self.streams, self._breaks, self.tries = streams, breaks, tries
        self.improved = True

    def _holds(self, changed: Streams) -> bool:
        """Try changed streams; keep them, and return True, where they break the law and are simpler."""
        candidate = {**self.streams, **changed}
        if self.tries <= 0 or _size(candidate) >= _size(self.streams):
            return False
        self.tries -= 1
        found = self._breaks(candidate)
        if found is None or _size(found) >= _size(self.streams):
            return False
        self.streams, self.improved = found, True
        return True

    def whole_streams(self) -> None:
        """Make all choices of a stream the simplest."""
        for name in list(self.streams):
            if name in self.streams:
                self._holds({name: [(0,) * len(entry) for entry in self.streams[name]]})

    def fewer(self) -> None:
        """Take single choices out of streams that may be shorter: half of them, then one after the other."""
        for count in [name for name in self.streams if name.startswith("number of ")]:
            name = count.removeprefix("number of ")
            for place in [0, *reversed(range(len(self.streams.get(name, ()))))]:
                stream, number = self.streams.get(name, []), self.streams.get(count, [(0,)])[0][0]
                if place < len(stream) and number:
                    kept = stream[: (len(stream) + 1) // 2] if place == 0 else stream[:place] + stream[place + 1 :]
                    left: Entries = [(max(0, number - (len(stream) - len(kept))),)]
                    self._holds({name: kept, count: left})

    def lower(self) -> None:
        """Make single integers lower: zero, half, with fewer bits, by one."""
        for name in list(self.streams):
            for place in range(len(self.streams.get(name, ()))):
                for axis in range(len(self.streams[name][place]) if place < len(self.streams.get(name, ())) else 0):
                    self._lower(name, place, axis)

    def _lower(self, name: str, place: int, axis: int) -> None:
        for change in _LOWER:
            stream = self.streams.get(name, [])
            while place < len(stream) and stream[place][axis]:
                entry = (*stream[place][:axis], change(stream[place][axis]), *stream[place][axis + 1 :])
                if not self._holds({name: [*stream[:place], entry, *stream[place + 1 :]]}):
                    break
                stream = self.streams.get(name, [])


def _size(streams: Streams) -> tuple[int, int]:
    """Return the number of choices and the sum of their bits, which a simpler case lowers."""
    entries = [entry for stream in streams.values() for entry in stream]
    return len(entries), sum(number.bit_length() * 64 + number.bit_count() for entry in entries for number in entry)
