"""A fit that was stopped goes on from its checkpoint, and ends with the bits that it would have had without that."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from numkan import KAN, Huber
from numkan.train import FitResult, FitState

X = np.random.default_rng(0).uniform(-1, 1, (60, 2))
Y = np.exp(np.sin(np.pi * X[:, 0]) + X[:, 1] ** 2)
NOISY = Y + 0.1 * np.random.default_rng(1).standard_normal(60)
LABELS = (Y > 1).astype(int) + (Y > 2)
WEIGHT = np.random.default_rng(2).uniform(0.1, 1, 60)

SHORT: dict[str, Any] = {"steps": 7, "grids": [2, 4]}
ADAM: dict[str, Any] = {"method": "adam", "batch_size": 25, **SHORT}
LM: dict[str, Any] = {"method": "lm", "steps": 8, "restarts": 3}


def square(width=(2, 1), **settings: Any) -> KAN:
    return KAN(list(width), **{"grid": 3, "seed": 0, **settings})


def same(a: FitResult, b: FitResult) -> bool:
    """Whether two fits have told the same, but for the seconds."""
    told = [
        [repr(getattr(r, name)) for name in r.__dataclass_fields__ if name not in (*TIMED, "history", "weights")]
        + [getattr(r.history, name).tobytes() for name in r.history.__dataclass_fields__ if name != "seconds"]
        + [weight.tobytes() for weight in r.weights]
        + [(s.grid, s.steps, s.loss, repr(s.validation), s.ended) for s in r.stages]
        for r in (a, b)
    ]
    return told[0] == told[1]


TIMED = ("seconds", "start_seconds", "stages")

CASES: dict[str, tuple[tuple[int, ...], dict[str, Any], Any, dict[str, Any]]] = {
    "lbfgs": ((2, 1), {}, Y, {"method": "lbfgs", **SHORT}),
    "lbfgs held out": ((2, 2, 1), {}, Y, {"method": "lbfgs", "validation": 0.3, "patience": 2, **SHORT}),
    "lbfgs float32 weighted": ((2, 1), {"dtype": "f4"}, Y, {"method": "lbfgs", "sample_weight": WEIGHT, **SHORT}),
    "lbfgs labels": ((2, 3), {}, LABELS, {"method": "lbfgs", "loss": "cross_entropy", **SHORT}),
    "lbfgs huber": ((2, 1), {}, Y, {"method": "lbfgs", "loss": Huber(0.3), **SHORT}),
    "lbfgs regularized": ((2, 2, 1), {}, Y, {"method": "lbfgs", "lamb": 0.01, "lamb_coef": 0.1, **SHORT}),
    "adam": ((2, 1), {}, Y, ADAM),
    "adam on all": ((2, 2, 1), {"extrapolate": "nan"}, Y, {**ADAM, "batch_size": None, "method": "adam"}),
    "adam labels": ((2, 3), {"dtype": "f4"}, LABELS, {**ADAM, "loss": "cross_entropy", "validation": 0.2}),
    "lm": ((2, 1), {}, Y, LM),
    "lm hidden": ((2, 2, 1), {"extrapolate": "raise"}, NOISY, LM),
    "lm float32": ((2, 1), {"dtype": "f4"}, Y, {**LM, "grids": [2, 5], "validation": (X, Y)}),
    "lm goes on": ((2, 1), {}, Y, {**LM, "start": "keep", "update_grid": False, "penalty": 1e-9}),
    "lm labels": ((2, 3), {}, LABELS, {**LM, "loss": "cross_entropy", "steps": 20}),
    "lm labels hidden": ((2, 2, 3), {}, LABELS, {**LM, "loss": "cross_entropy", "grids": [2, 3], "validation": 0.3}),
    "lm counts": ((2, 1), {}, LABELS, {**LM, "loss": "poisson", "steps": 30, "grids": [3, 6], "sample_weight": WEIGHT}),
    "lm counts going on": ((2, 1), {}, LABELS, {**LM, "loss": "poisson", "start": "keep", "penalty": 1e-3}),
    "lm huber": ((2, 1), {}, NOISY, {**LM, "loss": "huber"}),
    "lm weighted": ((2, 1), {}, NOISY, {**LM, "sample_weight": WEIGHT, "grids": None, "validation": 0.3}),
}
SLOW = {
    "lbfgs held out",
    "lbfgs regularized",
    "adam on all",
    "lm hidden",
    "lm float32",
    "lm weighted",
    "lm labels",
    "lm labels hidden",
    "lm counts",
}


def kept(path: Path, model: KAN, y: Any, options: dict[str, Any]) -> tuple[FitResult, list[bytes], list[bytes]]:
    """Fit; return the result, the checkpoint that is there at each call of the callback, and the model then."""
    files, models = list[bytes](), list[bytes]()

    def keep(state: FitState) -> None:
        files.append(path.read_bytes())
        models.append(model.params.tobytes())

    return model.fit(X, y, **options, checkpoint=path, every=1, callback=keep), files, models


@pytest.mark.parametrize("name", [pytest.param(n, marks=[pytest.mark.jit] if n in SLOW else []) for n in CASES])
def test_stopped_after_any_step_a_fit_ends_with_the_same_bits(tmp_path, name):
    width, settings, y, options = CASES[name]
    path = tmp_path / "c.npz"
    plain, whole = square(width, **settings), square(width, **settings)
    expected = plain.fit(X, y, **options)
    result, files, models = kept(path, whole, y, options)
    assert same(result, expected)
    assert whole.params.tobytes() == plain.params.tobytes()
    assert len(files) == result.steps >= 6
    for step, content in enumerate(files, 1):
        path.write_bytes(content)
        model, seen = square(width, **settings), []

        def see(state: FitState, model: KAN = model, seen: list[tuple[int, bytes]] = seen) -> None:
            seen.append((state.step, model.params.tobytes()))

        again = model.fit(X, y, **options, resume=path, callback=see)
        assert model.params.tobytes() == whole.params.tobytes(), step
        assert [layer.grid.tobytes() for layer in model.act_fun] == [layer.grid.tobytes() for layer in whole.act_fun]
        assert same(again, result), step
        assert seen == list(enumerate(models[step:], step + 1)), step


@pytest.mark.jit
@pytest.mark.parametrize("every", [1, 7])
def test_a_fit_of_several_climbs_and_starts_goes_on_in_each_of_them(tmp_path, every):
    path, whole, files = tmp_path / "c.npz", square((2, 1, 1)), list[bytes]()
    x = np.random.default_rng(5).uniform(-1, 1, (200, 2))
    y = np.sin(9 * x[:, 0] * x[:, 1]) + np.abs(x[:, 0] - 0.3)  # which one hidden node cannot follow
    options: dict[str, Any] = {"effort": 0.5, "checkpoint": path, "every": every}
    result = whole.fit(x, y, **options, callback=lambda state: files.append(path.read_bytes()))
    assert "more were tried" in result.chosen["start"]
    for step, content in list(enumerate(files, 1))[:: max(len(files) // 12, 1)]:
        path.write_bytes(content)
        model, seen = square((2, 1, 1)), list[int]()
        again = model.fit(x, y, **options, resume=path, callback=lambda state, seen=seen: seen.append(state.step))
        assert model.params.tobytes() == whole.params.tobytes()
        assert same(again, result)
        assert seen == list(range(step - step % every + 1, result.steps + 1))


KILLED = """
import os, sys
import numpy as np
from numkan import KAN
x = np.random.default_rng(0).uniform(-1, 1, (60, 2))
y = np.exp(np.sin(np.pi * x[:, 0]) + x[:, 1] ** 2)
def kill(state):
    if state.step == 11:
        os._exit(9)
options = {"method": "lbfgs", "steps": 7, "grids": [2, 4]}
KAN([2, 1], grid=3, seed=0).fit(x, y, **options, checkpoint=sys.argv[1], every=4, callback=kill)
"""


def test_a_killed_process_has_left_a_checkpoint_from_which_fewer_than_every_steps_are_repeated(tmp_path):
    path = tmp_path / "c.npz"
    assert subprocess.run([sys.executable, "-c", KILLED, path]).returncode == 9
    assert os.listdir(tmp_path) == ["c.npz"]
    model, whole, seen = square(), square(), []
    model.fit(X, Y, method="lbfgs", **SHORT, resume=path, callback=lambda state: seen.append(state.step))
    whole.fit(X, Y, method="lbfgs", **SHORT)
    assert seen == list(range(9, 15))  # it was at 8 that the last checkpoint was written
    assert model.params.tobytes() == whole.params.tobytes()


def test_a_resumed_fit_writes_checkpoints_too_and_may_be_stopped_again(tmp_path):
    path, options = tmp_path / "c.npz", {"method": "lbfgs", **SHORT}
    whole, seen = square(), []
    whole.fit(X, Y, **options)
    for stop in (3, 9, 12, 99):
        model = square()

        def see(state: FitState, stop: int = stop) -> None:
            seen.append(state.step)
            if state.step == stop:
                raise KeyboardInterrupt

        resume = {"resume": path} if path.exists() else {}
        try:
            model.fit(X, Y, **options, checkpoint=path, every=1, callback=see, **resume)
        except KeyboardInterrupt:
            assert stop != 99
    assert seen == list(range(1, 15))
    assert model.params.tobytes() == whole.params.tobytes()


@pytest.mark.parametrize("name", ["lbfgs", "adam", "lm"])
def test_a_fit_that_had_ended_ends_at_once(tmp_path, name):
    width, _, y, options = CASES[name]
    path, whole, model, calls = tmp_path / "c.npz", square(width), square(width), []
    result = whole.fit(X, y, **options, checkpoint=path, every=1000)
    again = model.fit(X, y, **options, resume=path, callback=calls.append)
    assert calls == []
    assert same(again, result)
    assert model.params.tobytes() == whole.params.tobytes()


@pytest.mark.parametrize("bits", [np.random.PCG64, np.random.MT19937, np.random.Philox, np.random.SFC64])
def test_the_generator_ends_in_the_same_state(tmp_path, bits):
    path, rng, other = tmp_path / "c.npz", np.random.Generator(bits(5)), np.random.Generator(bits(5))
    whole, files, _ = square(), [], None
    whole.fit(
        X, Y, **ADAM, random_state=rng, checkpoint=path, every=1, callback=lambda s: files.append(path.read_bytes())
    )
    path.write_bytes(files[3])
    model = square()
    model.fit(X, Y, **ADAM, random_state=other, resume=path)
    assert model.params.tobytes() == whole.params.tobytes()
    assert rng.random(5).tobytes() == other.random(5).tobytes()


def test_without_a_seed_a_resumed_fit_takes_the_random_numbers_of_the_one_that_was_stopped(tmp_path):
    path, whole, model, files = tmp_path / "c.npz", square(), square(), []
    options = {**ADAM, "validation": 0.3, "random_state": None}
    whole.fit(X, Y, **options, checkpoint=path, every=1, callback=lambda state: files.append(path.read_bytes()))
    path.write_bytes(files[2])
    model.fit(X, Y, **options, resume=path)
    assert model.params.tobytes() == whole.params.tobytes()


# --- the clock ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["lbfgs", "adam"])
def test_seconds_before_the_stop_count_and_a_longer_limit_lets_the_fit_go_on(tmp_path, monkeypatch, name):
    width, _, y, options = CASES[name]
    clock, path, whole = [0.0], tmp_path / "c.npz", square(width)
    monkeypatch.setattr("numkan.train.session.time.perf_counter", lambda: clock[0])

    def tick(state: FitState) -> None:
        clock[0] += 1.0
        if state.step == 4:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        square(width).fit(X, y, **options, checkpoint=path, every=1, callback=tick)
    clock[0] = 1000.0  # another day
    options = {**options, "resume": path}
    result = square(width).fit(X, y, **options, checkpoint=path, every=1, callback=tick, time_limit=5.5)
    assert (result.status, result.steps, result.seconds) == ("time limit", 7, 6.0)
    result = square(width).fit(X, y, **options)
    expected = whole.fit(X, y, **{**options, "resume": None})
    assert same(result, expected)


@pytest.mark.jit  # the steps that fit into the share are those of compiled kernels
def test_a_ladder_that_has_had_its_share_of_the_time_ends_there_again(tmp_path, monkeypatch):
    clock, path, whole, model, files = [0.0], tmp_path / "c.npz", square(), square(), list[bytes]()
    monkeypatch.setattr("numkan.train.session.time.perf_counter", lambda: clock[0])

    def tick(state: FitState) -> None:
        clock[0] += 1.0
        files.append(path.read_bytes())

    options: dict[str, Any] = {"time_limit": 12.0, "checkpoint": path, "every": 1}
    result = whole.fit(X, Y, **options, callback=tick)
    assert "the ladder has had its share of the time" in result.message
    assert result.steps > 6
    path.write_bytes(files[6])  # of the last fit, of all samples
    again = model.fit(X, Y, **options, callback=tick, resume=path)
    assert again.steps == result.steps
    assert model.params.tobytes() == whole.params.tobytes()


# --- another fit --------------------------------------------------------------------------------------------------


def stopped(path: Path, model: KAN, **options: Any) -> None:
    """Stop a fit at its third step."""

    def stop(state: FitState) -> None:
        if state.step == 3:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        model.fit(X, Y, **options, checkpoint=path, every=1, callback=stop)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"x": X + 1e-12}, "`x` must be the same"),
        ({"y": Y[::-1]}, "`y` must be the same"),
        ({"sample_weight": WEIGHT}, "`sample_weight` must be the same"),
        ({"validation": (X, Y)}, "`validation` must be the same"),
        ({"random_state": 1}, "`random_state` must be the same as in the fit that `resume` goes on with, or None"),
        ({"steps": 8}, "`steps` must be 7, as in the fit that `resume` goes on with, not 8"),
        ({"grids": [2, 3]}, r"`grids` must be \[2, 4\], as in .* not \[2, 3\]"),
        ({"method": "adam"}, "`method` must be 'lbfgs'"),
        ({"loss": Huber(2.0)}, "`loss` must be 'mse'"),
        ({"lamb": 0.5}, "`lamb` must be 0"),
        ({"update_grid": False, "start": "keep"}, "`update_grid` must be True"),
        ({"patience": 3}, "`patience` must be 100"),
    ],
)
def test_other_data_or_settings_are_named_and_change_nothing(tmp_path, change, words):
    path, options = tmp_path / "c.npz", {"method": "lbfgs", **SHORT}
    stopped(path, square(), **options)
    model, content = square(), path.read_bytes()
    before = model.params.tobytes()
    arguments = {"x": X, "y": Y, **options, **change}
    with pytest.raises(ValueError, match=words):
        model.fit(**arguments, resume=path, checkpoint=path)
    assert model.params.tobytes() == before
    assert path.read_bytes() == content


def test_another_model_is_refused(tmp_path):
    path, options = tmp_path / "c.npz", {"method": "lbfgs", **SHORT}
    stopped(path, square(), **options)
    moved = square()
    moved.act_fun[0].mask[0, 0] = 0
    for model in (square(seed=1), square(extrapolate="clamp"), square(dtype="f4"), moved):
        with pytest.raises(ValueError, match="must name a checkpoint of a fit that began with this model"):
            model.fit(X, Y, **options, resume=path)


def test_another_version_of_numkan_is_refused(tmp_path, monkeypatch):
    path, options = tmp_path / "c.npz", {"method": "lbfgs", **SHORT}
    stopped(path, square(), **options)
    monkeypatch.setattr("numkan.train.same_fit.version", lambda name: "7.0")
    with pytest.raises(ValueError, match=r"must name a checkpoint of numkan 7\.0, not of '0\.1\.0'"):
        square().fit(X, Y, **options, resume=path)


# --- files --------------------------------------------------------------------------------------------------------


def test_a_checkpoint_holds_no_pickle(tmp_path):
    stopped(tmp_path / "c.npz", square(), **ADAM)
    with np.load(tmp_path / "c.npz", allow_pickle=False) as file:
        config = json.loads(file["config"].tobytes())
        assert {file[name].dtype.name for name in file.files} == {"float64", "uint8"}
    assert config["program"] == "numkan"
    assert config["checkpoint"] == 1
    assert set(config["fit"]) == {"facts", "generator", "entries", "events", "seconds"}


@pytest.mark.parametrize("name", ["checkpoint", "resume"])
def test_a_number_is_no_path(name):
    with pytest.raises(TypeError, match=f"Argument `{name}` must be a str or a path, not 3"):
        square().fit(X, Y, **{name: 3})


def test_a_checkpoint_that_cannot_be_written_is_an_error_before_anything_changes(tmp_path):
    model = square()
    before = model.params.tobytes()
    with pytest.raises(OSError, match="nowhere"):
        model.fit(X, Y, checkpoint=tmp_path / "nowhere" / "c.npz")
    if hasattr(os, "mkfifo"):
        os.mkfifo(tmp_path / "pipe")
        with pytest.raises(ValueError, match=r"Argument `checkpoint` must name a file, not .*a pipe or a device"):
            model.fit(X, Y, checkpoint=tmp_path / "pipe")
    with pytest.raises(ValueError, match="Argument `every` must be at least 1, not 0"):
        model.fit(X, Y, checkpoint=tmp_path / "c.npz", every=0)
    with pytest.raises(FileNotFoundError):
        model.fit(X, Y, resume=tmp_path / "nothing.npz")
    assert model.params.tobytes() == before


def test_a_failed_write_in_the_middle_leaves_the_last_checkpoint_and_the_last_step(tmp_path, monkeypatch):
    path, model, files = tmp_path / "c.npz", square(), []

    def full(state: FitState) -> None:
        files.append((path.read_bytes(), model.params.tobytes()))
        if state.step == 4:
            monkeypatch.setattr("os.fsync", fail)

    def fail(handle: int) -> None:
        raise OSError(28, "No space left on device")

    with pytest.raises(OSError, match="No space left"):
        model.fit(X, Y, method="lbfgs", **SHORT, checkpoint=path, every=1, callback=full)
    assert path.read_bytes() == files[3][0]
    assert os.listdir(tmp_path) == ["c.npz"]
    assert model.params.tobytes() != files[3][1]  # the step was accepted, as all before


def test_models_and_checkpoints_are_told_apart(tmp_path):
    square().save(tmp_path / "m.npz")
    stopped(tmp_path / "c.npz", square(), method="lbfgs", **SHORT)
    with pytest.raises(ValueError, match=r"Argument `resume` must name a checkpoint .* it holds a model, and no fit"):
        square().fit(X, Y, method="lbfgs", **SHORT, resume=tmp_path / "m.npz")
    with pytest.raises(ValueError, match="Argument `path` must name a model that numkan saved"):
        KAN.load(tmp_path / "c.npz")


@pytest.mark.parametrize("content", [b"", b"PK", b"no zip at all" * 99])
def test_a_foreign_file_is_refused(tmp_path, content):
    (tmp_path / "c.npz").write_bytes(content)
    with pytest.raises(ValueError, match="Argument `resume` must name a checkpoint that a fit wrote, not "):
        square().fit(X, Y, resume=tmp_path / "c.npz")


def leaves(tree: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    """Return the ways to all leaves of a tree of JSON."""
    pairs = tree.items() if isinstance(tree, dict) else enumerate(tree) if isinstance(tree, list) else ()
    return [leaf for key, value in pairs for leaf in leaves(value, (*path, key))] or [path]


def rewritten(source: Path, target: Path, change: Any) -> None:
    """Write a checkpoint anew with another tree, and right checksums."""
    from numkan._npz import write_members

    with np.load(source) as file:
        members = {name: file[name] for name in file.files}
    config = json.loads(members["config"].tobytes())
    change(config)
    members["config"] = np.frombuffer(json.dumps(config).encode(), np.uint8)
    with open(target, "wb") as out:
        write_members(out, members)


@pytest.mark.jit
@pytest.mark.parametrize("name", ["lbfgs", "adam", "lm"])
def test_a_forged_checkpoint_is_refused_or_fitted_and_never_harms_the_model(tmp_path, name):
    width, _, y, options = CASES[name]
    source, forged = tmp_path / "c.npz", tmp_path / "forged.npz"

    def stop(state: FitState) -> None:
        if state.step == 9:
            shutil.copy(source, tmp_path / "copy.npz")

    square(width).fit(X, y, **options, checkpoint=source, every=1, callback=stop)
    with np.load(tmp_path / "copy.npz") as file:
        config = json.loads(file["config"].tobytes())
    ways, rng = leaves(config), np.random.default_rng(0)
    refused = 0
    for turn in rng.permutation(len(ways))[:120]:
        value = [-1, "odd", None, [], {}, 1e308, True, {"float": "nan"}][rng.integers(8)]

        def change(tree: Any, way: tuple[Any, ...] = ways[turn], value: Any = value) -> None:
            for key in way[:-1]:
                tree = tree[key]
            tree[way[-1]] = value

        rewritten(tmp_path / "copy.npz", forged, change)
        model = square(width)
        before = model.params.tobytes()
        error = ""
        try:
            model.fit(X, y, **options, resume=forged)
        except ValueError as caught:
            error = str(caught)
        refused += bool(error)
        if error:
            assert model.params.tobytes() == before, (ways[turn], value, error)
            assert error.startswith("Argument `"), (ways[turn], value, error)
    assert refused > 60
