"""The command ``numkan``: help without Numba, exit codes, one line for an error, signals and full disks."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from numkan import KAN
from numkan.cli import main

needs_posix = pytest.mark.skipif(os.name != "posix", reason="signals and devices of POSIX")

COMMANDS = ("fit", "predict", "show", "explore", "check", "info")


def run(program: str, *arguments: object, **options) -> subprocess.CompletedProcess[str]:
    """Run a program in another interpreter, with `main` imported."""
    prelude = "import os, signal, sys\nfrom numkan.cli import main\n"
    command = [sys.executable, "-c", prelude + program, *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, **options)


def one_line(text: str) -> str:
    assert text.count("\n") == 1, text
    assert text.startswith("numkan")
    return text


# --- help ---------------------------------------------------------------------------------------------------------


def test_help_teaches_and_imports_neither_numba_nor_numpy():
    program = "code = main(sys.argv[1:])\nassert not {'numba', 'numpy', 'scipy'} & set(sys.modules)\nsys.exit(code)"
    done = run(program, "fit", "--help")
    assert (done.returncode, done.stderr) == (0, "")
    assert "numkan fit data.csv --target y --out m.npz" in done.stdout


def test_the_module_is_the_command_too():
    done = subprocess.run([sys.executable, "-m", "numkan", "--help"], capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (0, "")
    assert all(f"numkan {command}" in done.stdout for command in COMMANDS)


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_has_help(capsys, command):
    assert main([command, "--help"]) == 0
    assert f"usage: numkan {command}" in capsys.readouterr().out


def test_the_version_is_printed(capsys):
    assert main(["--version"]) == 0
    assert capsys.readouterr().out == "numkan 0.1.0\n"


# --- errors -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        ([], "the following arguments are required: COMMAND"),
        (["fly"], "invalid choice: 'fly'"),
        (["fit", "data.csv"], "the following arguments are required: --target"),
        (["fit", "data.csv", "--target", "y", "--width", "2", "-1"], "--width"),
        (["fit", "none.csv", "--target", "y"], "none.csv: No such file or directory."),
        (["fit", "-", "--target", "y"], "Argument `data` must be a file"),
        (["predict", "none.npz", "none.csv"], "none.npz: No such file or directory."),
        (["predict", "no.npz", "none.csv"], "must name a model that numkan saved, not 'no.npz'"),
        (["show", "."], ".: Is a directory."),
        (["check"], "Argument `adapter` must be given"),
        (["check", "nowhere:adapter"], "cannot be imported"),
    ],
)
def test_an_error_is_one_line_and_exit_code_2(capsys, tmp_path, monkeypatch, arguments, says):
    monkeypatch.chdir(tmp_path)
    Path("no.npz").write_text("no model")
    assert main(arguments) == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert says in one_line(err)


def test_memory_that_is_missing_is_one_line(capsys, tmp_path, monkeypatch):
    monkeypatch.setattr("numkan.cli.models.KAN.load", lambda path: bytearray(1 << 60))
    assert main(["show", "any.npz"]) == 2
    assert one_line(capsys.readouterr().err) == "numkan: there is not enough memory.\n"


def test_a_fault_of_numkan_shows_its_traceback_and_is_not_taken_for_a_law_that_fails(capsys, monkeypatch):
    monkeypatch.setattr("numkan.cli.models.KAN.load", lambda path: {}[path])
    assert main(["show", "any.npz"]) == 2
    assert "Traceback" in capsys.readouterr().err


# --- what ends a command from outside -----------------------------------------------------------------------------


@pytest.fixture
def model(tmp_path: Path) -> Path:
    """A model of two inputs, with a table of 20,000 rows beside it."""
    KAN([2, 1], grid=2, k=1, seed=0).save(tmp_path / "m.npz")
    np.savetxt(tmp_path / "x.csv", np.zeros((20_000, 2)), fmt="%g", delimiter=",", header="a,b", comments="")
    return tmp_path / "m.npz"


@pytest.mark.jit
@needs_posix
def test_a_reader_that_has_had_enough_is_no_error(model):
    with subprocess.Popen(
        [sys.executable, "-m", "numkan", "predict", model, model.with_name("x.csv")],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stdout.readline() == "y\n"
        process.stdout.close()
        said = process.stderr.read()
    assert process.returncode == 0
    assert not [line for line in said.splitlines() if not line.startswith("numkan compiles kernels")]


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="no /dev/full")
def test_a_full_disk_is_one_line_and_exit_code_2(model):
    with open("/dev/full", "w") as full:
        done = subprocess.run(
            [sys.executable, "-m", "numkan", "show", model], stdout=full, stderr=subprocess.PIPE, text=True
        )
    assert done.returncode == 2
    assert one_line(done.stderr) == "numkan: No space left on device.\n"


_CTRL_C = "signal.signal(signal.SIGINT, signal.default_int_handler)\ninterrupt = lambda *_: os.kill(os.getpid(), 2)\n"

_IN_THE_FIT = """
from numkan import KAN
fit = KAN.fit
KAN.fit = lambda *arguments, **options: fit(*arguments, callback=interrupt, **options)
"""

_IN_THE_SAVE = "os.fsync = interrupt\n"


@pytest.mark.jit
@needs_posix
@pytest.mark.parametrize("moment", [_IN_THE_FIT, _IN_THE_SAVE])
def test_ctrl_c_is_exit_code_130_and_leaves_no_file(tmp_path, moment):
    x = np.random.default_rng(0).uniform(-1, 1, (30, 2))
    np.savetxt(tmp_path / "d.csv", x, delimiter=",", header="x,y", comments="")
    arguments = "fit", tmp_path / "d.csv", "--target", "y", "--width", 1, 1, "--out", tmp_path / "m.npz"
    done = run(f"{_CTRL_C}{moment}sys.exit(main(sys.argv[1:]))", *arguments)
    assert (done.returncode, done.stdout) == (130, "")
    assert one_line(done.stderr.splitlines(keepends=True)[-1]) == "numkan: interrupted.\n"
    assert os.listdir(tmp_path) == ["d.csv"]


# --- info, show, check --------------------------------------------------------------------------------------------


def test_info_prints_versions_and_settings(capsys):
    assert main(["info"]) == 0
    text = capsys.readouterr().out
    assert main(["info", "--json"]) == 0
    facts = json.loads(capsys.readouterr().out)
    assert set(facts) == {
        "numkan", "python", "platform", "numpy", "scipy", "numba", "llvmlite", "pyarrow", "tqdm",
        "blas", "threads", "vector_width", "jit", "cache",
    }  # fmt: skip
    assert facts["numpy"] == np.__version__
    assert facts["vector_width"] in (128, 256, 512)
    assert f"numpy: {np.__version__}\n" in text
    assert all(f"{name}: " in text for name in facts)


def test_show_tells_what_a_model_without_a_table_is(capsys, tmp_path):
    model = KAN([2, 3, 1], grid=[4, 6], k=2, dtype=np.float32, extrapolate="clamp")
    model.act_fun[0].mask[0, 0] = 0
    model.save(tmp_path / "m.npz")
    assert main(["show", str(tmp_path / "m.npz")]) == 0
    assert "layer 0: 2 -> 3, 5 edges, grid 4, k 2, base silu, outside clamp" in capsys.readouterr().out
    assert main(["show", str(tmp_path / "m.npz"), "--json"]) == 0
    facts = json.loads(capsys.readouterr().out)
    assert (facts["width"], facts["grid"], facts["dtype"]) == ([2, 3, 1], [4, 6], "float32")
    assert facts["layers"][0]["edges"] == 5
    assert facts["columns"] is facts["classes"] is facts["targets"] is None


@pytest.mark.jit
@pytest.mark.parametrize(("adapter", "code"), [("Right", 0), ("Wrong", 1)])
def test_check_is_the_kits_command_and_finds_adapters_in_the_working_folder(
    capfd, tmp_path, monkeypatch, adapter, code
):
    (tmp_path / "mine.py").write_text(
        "import numpy as np\n"
        "from numkan.spline import B_batch\n"
        "class Right:\n"
        "    def basis(self, x, knots, k):\n"
        "        return B_batch(np.asarray(x)[:, None], np.asarray(knots)[None], k)[:, 0, :]\n"
        "class Wrong(Right):\n"
        "    def basis(self, x, knots, k):\n"
        "        return 1.001 * super().basis(x, knots, k)\n"
    )
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", [entry for entry in sys.path if entry not in ("", str(tmp_path))])
    monkeypatch.delitem(sys.modules, "mine", raising=False)
    assert main(["check", f"mine:{adapter}", "--only", "P-PoU"]) == code
    assert "P-PoU" in capfd.readouterr().out
