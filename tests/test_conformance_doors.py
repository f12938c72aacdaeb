"""The doors that import an adapter by its name: it runs in a child, which may crash or hang; the report is complete."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from numkan.conformance import AdapterError, Layer, check
from numkan.conformance.__main__ import main
from numkan.conformance.cases import Case, from_plain, plain
from numkan.conformance.guard import Guard
from numkan.conformance.law import Broken
from numkan.conformance.making import cases_of
from numkan.conformance.network_cases import random_case
from numkan.conformance.scope import Scope, scope_of
from tests.conformance_adapters import DeBoor
from tests.test_conformance import PLUGIN, PROJECT

ADAPTERS = """
import ctypes, os, sys, time
from tests.conformance_adapters import DeBoor, Wrong

right = DeBoor()
print("imported")

class Crashes(DeBoor):
    def dbasis(self, x, knots, k, nu):
        os.abort()

class Exits(DeBoor):
    def dbasis(self, x, knots, k, nu):
        os._exit(7)

class Sleeps(DeBoor):
    def dbasis(self, x, knots, k, nu):
        time.sleep(600)

class HoldsTheLock(DeBoor):
    def dbasis(self, x, knots, k, nu):
        ctypes.PyDLL(None).sleep(600)

class Talks(DeBoor):
    def basis(self, x, knots, k):
        print("talks", file=sys.__stdout__)
        os.write(1, b"talks\\n")
        sys.stdin.read()
        return super().basis(x, knots, k)

class Undecided(DeBoor):
    @property
    def dtype(self):
        raise RuntimeError("not on\\nthis machine")

class Verbose(DeBoor):
    def basis(self, x, knots, k):
        raise RuntimeError("two\\nlines")

class CrashesAtOnce(DeBoor):
    def basis(self, x, knots, k):
        os.abort()
"""


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with adapters, on the path."""
    (tmp_path / "doors.py").write_text(ADAPTERS)
    (tmp_path / "gone.py").write_text("import no_such_module\n")
    monkeypatch.syspath_prepend(tmp_path)
    return tmp_path


LAWS = ["P-PoU", "P-D0", "P-POS"]
SPLINE = Case(np.arange(4.0), 1, np.array([1.5]), np.array([1.5]), np.ones(2))


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("Crashes", "the process was ended by SIGABRT while the law was checked"),
        ("Exits", "the process ended with exit code 7 while the law was checked"),
        ("Sleeps", "The adapter hangs: `dbasis` did not return within 0.5 s while P-D0 was checked."),
        ("HoldsTheLock", "the process hung, and no other thread of it could run, while the law was checked"),
    ],
)
def test_a_crash_or_a_hang_fails_its_law_and_the_others_are_tried(project: Path, name: str, said: str) -> None:
    report = check(f"doors:{name}", only=LAWS, timeout=0.5)
    found = {result.law.id: (result.outcome, result.message) for result in report.results}
    assert found == {"P-PoU": ("PASS", ""), "P-D0": ("FAIL", said), "P-POS": ("PASS", "")}
    assert not report.ok


def test_the_command_line_and_pytest_go_on_after_a_crash(project: Path) -> None:
    done = run("-m", "numkan.conformance", "doors:Crashes", *(f"--only={id}" for id in LAWS), folder=project)
    assert done.returncode == 1, done.stderr
    assert "2 of 3 claimed laws hold, 1 fail; 0 not claimed" in done.stdout
    assert "imported" not in done.stdout
    picked = ["--pyargs", "numkan.conformance", "-q", "-p", "no:cacheprovider", "-k", "P-PoU or P-D0 or P-POS"]
    done = run("-m", "pytest", *PLUGIN, *picked, "--adapter", "doors:Crashes", folder=project)
    assert done.returncode == 1, done.stdout + done.stderr
    assert "1 failed, 2 passed" in done.stdout


def test_a_child_finds_what_this_process_finds(project: Path) -> None:
    one, other = (check(adapter, only=["P-REL", "P-D0"], seed=3) for adapter in ("doors:Wrong", DeBoor()))
    assert [result.outcome for result in one.results] == ["FAIL", "PASS"]
    assert (one.results[1].worst, one.results[1].cases) == (other.results[1].worst, other.results[1].cases)
    assert one.environment["cases of splines"] == other.environment["cases of splines"]


def test_what_an_adapter_prints_and_reads_disturbs_nothing(project: Path) -> None:
    assert check("doors:Talks", only=["P-PoU"], examples=1).ok


@pytest.mark.parametrize(
    ("target", "said"),
    [
        ("doors:CrashesAtOnce", "The adapter doors:CrashesAtOnce cannot be used: the process was ended by SIGABRT"),
        ("gone:x", "The adapter gone:x cannot be imported: ModuleNotFoundError: No module named 'no_such_module'"),
        ("doors:Undecided", "The adapter doors:Undecided cannot be used: RuntimeError: not on this machine"),
        ("doors:Verbose", "The adapter cannot be used: `basis` raised RuntimeError: two lines (three points, "),
        ("doors", "Argument `adapter` must look like package.module:name, not 'doors'."),
    ],
)
def test_an_adapter_that_cannot_be_started_is_an_error(project: Path, target: str, said: str) -> None:
    with pytest.raises(AdapterError) as caught:
        check(target, only=["P-PoU"])
    assert str(caught.value).startswith(said)


def run(*arguments: str, folder: Path) -> Any:
    environment = os.environ | {"PYTHONPATH": str(PROJECT)}
    command = [sys.executable, *arguments]
    return subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, timeout=300)


def test_pytest_finds_an_adapter_in_the_current_folder_and_says_why_one_cannot_be_imported(project: Path) -> None:
    """`python -m pytest` puts the folder on the path, the command `pytest` does not."""
    arguments = [*PLUGIN, "--pyargs", "numkan.conformance", "-q", "-p", "no:cacheprovider", "-k", "P-PoU", "--adapter"]
    pytest_alone = "import sys; sys.path.remove(''); import pytest; sys.exit(pytest.main(sys.argv[1:]))"
    done = run("-c", pytest_alone, *arguments, "doors:right", folder=project)
    assert done.returncode == 0, done.stdout + done.stderr
    done = run("-c", pytest_alone, *arguments, "gone:x", folder=project)
    assert done.returncode == 2, done.stdout
    said = "The adapter gone:x cannot be imported: ModuleNotFoundError: No module named 'no_such_module'"
    assert done.stdout.count(said) + done.stderr.count(said) == 1


# --- one sentence -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("option", ["--json", "--markdown"])
def test_where_a_report_goes_is_looked_at_before_the_run(
    option: str, project: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for file in (project / "nowhere" / "report", project / "doors.py" / "report", project):
        assert main(["missing:never_imported", "--only", "P-PoU", option, str(file)]) == 2
        said = capsys.readouterr().err
        assert (
            said
            == f"numkan.conformance: Argument `{option}` must name a file that can be written, not {str(file)!r}.\n"
        )
    assert not (project / "nowhere").exists()


def test_two_reports_are_two_files(project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = str(project / "report")
    assert main(["missing:never_imported", "--json", file, "--markdown", file]) == 2
    said = f"numkan.conformance: Argument `--markdown` must name another file than `--json`, not {file!r}.\n"
    assert capsys.readouterr().err == said


def test_a_list_of_known_failures_that_cannot_be_read_is_said_in_one_sentence(
    project: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["missing:never_imported", "--known", str(project)]) == 2
    said = f"Argument `--known` must name a file of laws and reasons, not {str(project)!r}."
    assert capsys.readouterr().err == f"numkan.conformance: {said}\n"
    picked = ["--pyargs", "numkan.conformance", "-q", "-p", "no:cacheprovider", "-k", "P-PoU or P-POS"]
    done = run("-m", "pytest", *PLUGIN, *picked, "--adapter", "doors:right", "--known", str(project), folder=project)
    assert done.returncode == 2, done.stdout
    assert (done.stdout + done.stderr).count(said) == 1


@pytest.mark.parametrize("seconds", ["-1", "0", "nan", "inf", "soon"])
def test_times_are_positive_numbers(seconds: str, capsys: pytest.CaptureFixture[str]) -> None:
    for option in ("--timeout", "--soak"):
        with pytest.raises(SystemExit) as caught:
            main(["missing:x", option, seconds])
        assert caught.value.code == 2
        assert f"argument {option}: must be a positive number of seconds, not {seconds}" in capsys.readouterr().err


@pytest.mark.parametrize("timeout", [-1, 0, float("nan"), float("inf"), "1"])
def test_a_timeout_is_a_positive_number(timeout: Any) -> None:
    with pytest.raises(ValueError, match=r"^Argument `timeout` must be a positive number of seconds, not "):
        check(DeBoor(), timeout=timeout)


@pytest.mark.parametrize(
    ("option", "value", "said"),
    [
        ("seed", -1, "Argument `seed` must be at least 0, not -1."),
        ("seed", 1.5, "Argument `seed` must be an integer, not 1.5."),
        ("examples", -1, "Argument `examples` must be at least 0, not -1."),
        ("soak", -1.0, "Argument `soak` must be at least 0, not -1.0."),
        ("soak", "long", "Argument `soak` must be a real number, not 'long'."),
    ],
)
def test_what_a_run_is_made_of_is_looked_at_before_it_begins(
    option: str, value: Any, said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises((TypeError, ValueError)) as caught:
        check("missing:never_imported", **{option: value})
    assert str(caught.value) == said
    assert main(["missing:never_imported", "--seed=-1"]) == 2
    assert capsys.readouterr().err == "numkan.conformance: Argument `seed` must be at least 0, not -1.\n"


def test_what_cannot_be_replayed_is_said_in_one_sentence(project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = project / "report.json"
    empty = {"format": "numkan.conformance report, version 1"}
    wrong = [
        ("no JSON", "Argument `--replay` must name a report that --json wrote, not "),
        ("[]", "Argument `report` must be a numkan.conformance report, version 1, not []."),
        (json.dumps(empty), "Argument `report` must hold results as written, not with KeyError('results')."),
        (
            json.dumps({**empty, "results": [{"id": "P-PoU", "example": {"k": 1}}]}),
            "Argument `report` must hold results as written, not with KeyError('dtype').",
        ),
        (
            json.dumps({**empty, "results": [{"id": "P-PoU", "example": {**plain(SPLINE), "k": 7}}]}),
            "Argument `report` must hold results as written, not with "
            "ValueError('knots of a shape or value that no case has').",
        ),
    ]
    for text, said in wrong:
        file.write_text(text)
        assert main(["doors:right", "--replay", str(file)]) == 2
        error = capsys.readouterr().err
        assert error.startswith(f"numkan.conformance: {said}")
        assert error.count("\n") == 1
    assert main(["doors:right", "--replay", str(project / "nothing")]) == 2


@pytest.mark.parametrize(
    ("about", "case", "wrong"),
    [
        ("splines", SPLINE, {"k": "three"}),
        ("splines", SPLINE, {"k": -1}),
        ("splines", SPLINE, {"knots": [0.0, 2.0, 1.0, 3.0]}),
        ("splines", SPLINE, {"coef": [1.0]}),
        ("splines", SPLINE, {"inside": [[1.5]]}),
        ("grids", cases_of("grids", Scope(), 0, 0)[0].case, {"G": 0}),
        ("grids", cases_of("grids", Scope(), 0, 0)[0].case, {"x": [1.0]}),
        ("grids", cases_of("grids", Scope(), 0, 0)[0].case, {"grid": [[0.0, 1.0]]}),
        ("networks", random_case(0, [2, 1], [3], [2]), {"layers": []}),
        ("networks", random_case(0, [2, 1], [3], [2]), {"x": [[1.0]]}),
        ("networks", random_case(0, [2, 1], [3], [2]), {"weight": [1.0]}),
    ],
)
def test_a_case_whose_numbers_do_not_fit_together_is_not_read(about: str, case: Any, wrong: dict[str, Any]) -> None:
    numbers = plain(case)
    assert plain(from_plain(about, numbers)) == numbers
    with pytest.raises(ValueError, match="of a shape or value that no case has"):
        from_plain(about, {**numbers, **wrong})


def test_the_exit_code_of_a_law_that_fails_stands_for_nothing_else(monkeypatch: pytest.MonkeyPatch) -> None:
    def failing(*_: Any, **options: Any) -> Any:
        raise RuntimeError("a fault of the kit")

    monkeypatch.setattr("numkan.conformance.__main__.check", failing)
    assert main(["doors:right"]) == 2


def test_degrees_may_be_an_array() -> None:
    many = type("Many", (DeBoor,), {"degrees": np.array([1, 3], np.int32), "layer_degrees": np.array([3])})
    assert scope_of(many()).degrees == (1, 3)
    assert scope_of(many()).layer_degrees == (3,)
    assert check(many(), only=["P-PoU"], examples=1).ok
    for wrong in (np.array([1.0, 3.0]), np.array([[1, 3]]), np.array([-1])):
        many.degrees = wrong
        with pytest.raises(AdapterError, match=r"^Policy `degrees` must hold integers of at least 0, not "):
            check(many())


def test_a_method_that_returns_none_is_named(tmp_path: Path) -> None:
    case = random_case(0, [2, 1], [3], [2])
    layer, x = case.layer, case.x
    grads = [{"coef": layer.coef}]
    calls: dict[str, tuple[Any, ...]] = {
        "dbasis": (x[:, 0], layer.grid[0], 2, 1),
        "curve": (x[:, 0], layer.grid[0], layer.coef[0, 0], 2),
        "insert_knot": (layer.grid[0], layer.coef[0, 0], 2, 0.5),
        "refinement_matrix": (layer.grid[0], layer.grid[0], 2),
        "fit_curve": (x[:, 0], x[:, 0], layer.grid[0], 2),
        "fit_rank": (x[:, 0], layer.grid[0], 2),
        "layer_forward": (layer, x),
        "layer_vjp": (layer, x, case.y),
        "layer_jacobian": (layer, x),
        "update_grid": (layer, x, 0.5),
        "refine": (layer, 4),
        "network_forward": ([layer], x),
        "network_loss": ([layer], x, case.y, "mse", case.weight),
        "network_vjp": ([layer], x, case.y),
        "network_jvp": ([layer], x, grads, x),
        "network_jacobian": ([layer], x),
        "network_derivative": ([layer], x),
        "load": (tmp_path,),
        "model": ([layer],),
        "state": (None,),
        "set_threads": (1,),
    }
    for name, arguments in calls.items():
        silent = Guard(type("Silent", (DeBoor,), {name: lambda *_, **options: None})())
        with pytest.raises(Broken, match=rf"^`{name}` returned None, not "):
            getattr(silent, name)(*arguments)
    right = Guard(type("Right", (DeBoor,), {"load": lambda self, path: [layer], "fit_rank": lambda *_: np.int64(3)})())
    assert isinstance(right.load(tmp_path)[0], Layer)
    assert right.fit_rank(*calls["fit_rank"]) == 3
