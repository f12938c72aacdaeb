"""The ranking of a search's trials: which one is taken, and whether all that is left is noise."""

from __future__ import annotations

from collections.abc import Sequence

from numkan.train.trials import Trial

__all__ = ["choose", "looks_like_noise", "ranked"]

#: Networks whose errors differ by a smaller factor count as equally good; the second factor is used if the best one
#: fits.
_AS_GOOD, _AS_GOOD_FITTING = 1.03, 3.0

#: The data are taken to be noisy if the errors of this number of shapes agree to this factor and finer grids gain less
#: than that, once a shape was tried that is as wide as there are inputs, or this wide.
_NOISY_SHAPES, _NOISY_AGREE, _NOISY_GAIN, _WIDE_ENOUGH = 3, 1.1, 1.5, 5

#: Shapes are compared by their average errors if they were tried this often, and if their best trials, and half of the
#: trials of each, differ by less than this factor.
_OFTEN, _ALIKE = 3, 2.0


def ranked(trials: Sequence[Trial]) -> list[Trial]:
    """Return the trials, the best first."""
    return sorted(trials, key=lambda trial: trial.score)


def choose(trials: Sequence[Trial]) -> Trial:
    """Return the narrowest trial that is about as good as the best.

    If shapes that have been tried often differ little, the choice of held-out samples would decide between them.
    Then the result is the best trial of the shape that is best on average. Where the trials of one shape differ much,
    their starts decide, and averages mean nothing.
    """
    best, *_ = in_order = ranked(trials)
    if not best.fits:
        shapes: dict[tuple[tuple[int, ...], int], list[Trial]] = {}
        for trial in in_order:
            shapes.setdefault((trial.width, trial.k), []).append(trial)
        often = [tried for tried in shapes.values() if len(tried) >= _OFTEN and _differ_little(tried)]
        if len(often) > 1 and often[1][0].score < _ALIKE * best.score:
            return min(often, key=lambda tried: sum(trial.score for trial in tried) / len(tried))[0]
    bound = best.score * (_AS_GOOD_FITTING if best.fits else _AS_GOOD)
    good = [trial for trial in in_order if trial.score <= bound and trial.k == best.k]
    return min(good, key=lambda trial: (len(trial.width), sum(trial.width), trial.score))


def _differ_little(in_order: Sequence[Trial]) -> bool:
    """Return whether half of the trials of one shape are about as good as its best."""
    return in_order[len(in_order) // 2].score < _ALIKE * in_order[0].score


def looks_like_noise(trials: Sequence[Trial]) -> bool:
    """Return whether the best shapes all end at the same error, on any grid, so that a search would find no more.

    Shapes with fewer hidden nodes than there are inputs can agree because all of them are too narrow.
    """
    if max(max(trial.width[1:-1], default=0) for trial in trials) < min(trials[0].width[0], _WIDE_ENOUGH):
        return False
    best = ranked(trials)[:_NOISY_SHAPES]
    agree = best[-1].score <= _NOISY_AGREE * best[0].score
    return len(best) == _NOISY_SHAPES and agree and all(trial.gain < _NOISY_GAIN for trial in best)
