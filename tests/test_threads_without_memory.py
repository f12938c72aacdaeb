"""Threads that find no memory to start with: the process neither hangs nor gives other numbers."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

#: Its child has the stack of a thread of the parent's, which it can start one on, and no memory beyond that.
PROGRAM = """
import os, resource, signal
from numkan._threads import run_tasks, set_threads

set_threads(2)
run_tasks(lambda index: None, 2)
child = os.fork()
if child == 0:
    signal.alarm(20)  # ends what hangs
    done = []
    size = int(open("/proc/self/statm").read().split()[0]) * resource.getpagesize()
    resource.setrlimit(resource.RLIMIT_AS, (size, size))
    for _ in range(5):
        run_tasks(done.append, 3)
    os._exit(0 if sorted(done) == sorted([0, 1, 2] * 5) else 1)
raise SystemExit(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
"""


@pytest.mark.skipif(not os.path.exists("/proc/self/statm"), reason="needs Linux")
def test_a_thread_that_finds_no_memory_stops_nobody() -> None:
    done = subprocess.run([sys.executable, "-W", "ignore", "-c", PROGRAM], timeout=120)
    assert done.returncode == 0
