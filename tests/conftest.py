"""Hypothesis profiles: "default", "nojit" where kernels are plain Python, "soak" for long searches.

``pytest --hypothesis-profile=soak`` or ``HYPOTHESIS_PROFILE=soak`` picks one; NUMBA_DISABLE_JIT=1 picks "nojit".
"""

from __future__ import annotations

import gc
import os

import pytest
from hypothesis import HealthCheck, settings

# the fixtures that property tests of this suite use are never written to
_SUPPRESSED = [HealthCheck.function_scoped_fixture, HealthCheck.too_slow, HealthCheck.data_too_large]

settings.register_profile(
    "default", deadline=None, derandomize=True, max_examples=50, database=None, suppress_health_check=_SUPPRESSED
)
settings.register_profile("nojit", settings.get_profile("default"), max_examples=8)
settings.register_profile(
    "soak", deadline=None, derandomize=False, max_examples=2000, print_blob=True, suppress_health_check=_SUPPRESSED
)

_JIT_OFF = os.environ.get("NUMBA_DISABLE_JIT", "0") not in ("", "0")
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "nojit" if _JIT_OFF else "default"))


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Leave out what is marked `slow` where neither files nor marks are named.

    Skip what is marked `jit` where the JIT is off: it would take minutes as Python, or has nothing to look at. And hold
    numkan to each law once: where the kit's own run of all laws is among the tests, leave out the searches for
    counterexamples, one a law, which are for runs of single files and of other forms.
    """
    if config.args_source is pytest.Config.ArgsSource.TESTPATHS and not config.option.markexpr:
        slow = [item for item in items if item.get_closest_marker("slow")]
        config.hook.pytest_deselected(items=slow)
        items[:] = [item for item in items if item not in slow]
    if _JIT_OFF:
        for item in items:
            if item.get_closest_marker("jit"):
                item.add_marker(pytest.mark.skip(reason="the JIT is off"))
    elif any(item.name == "test_numkan_obeys_all_laws_and_claims_every_one" for item in items):
        again = [item for item in items if item.name.startswith("test_numkan_obeys[")]
        config.hook.pytest_deselected(items=again)
        items[:] = [item for item in items if item not in again]


@pytest.fixture(autouse=True, scope="session")
def _compiling_in_silence() -> None:
    """Whether three seconds of compiling are over in a test that looks at stderr depends on the clock."""
    from numkan.compile.notice import notice

    notice.is_due = False


_full_collections = 0


def pytest_runtest_setup() -> None:
    """Take what is left of a full search for garbage out of the next ones, and out of Hypothesis' searches.

    Compiled kernels are millions of objects. Hypothesis makes Python look through all of them for every example, which
    took most of the suite's time.
    """
    global _full_collections
    found = gc.get_stats()[2]["collections"]
    if found > _full_collections:
        _full_collections = found
        gc.freeze()
