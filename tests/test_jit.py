"""The cache of compiled kernels: right code or no code, whatever lies on the disk."""

import errno
import gc
import os
import re
import shutil
import stat
import subprocess
import sys
import tempfile
from functools import partial
from http import HTTPStatus
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pytest
from llvmlite.binding import Linkage
from numba import config, errors, njit, types
from numba.extending import intrinsic

import numkan
from numkan.compile import Entry, cache, cache_folder, kernel
from numkan.compile.cache import NumkanCacheWarning
from numkan.compile.key import function_key, overload_key
from tests import test_layering

PROJECT = Path(__file__).parents[1]
IS_ROOT = hasattr(os, "getuid") and os.getuid() == 0
FACTOR = 2
SOURCES = Path(numkan.__file__).parent


class Pair(NamedTuple):
    array: Any
    number: float


@pytest.fixture(autouse=True)
def cache_root(tmp_path, monkeypatch):
    """Compile in this process, even where the JIT is off, with an empty cache that was never looked at."""
    root = tmp_path / "cache"
    monkeypatch.setattr(config, "DISABLE_JIT", 0)
    monkeypatch.setattr(config, "CACHE_DIR", str(root))
    monkeypatch.setattr(cache, "_warned", set())
    cache._folder.cache_clear()
    yield root / "numkan"
    cache._folder.cache_clear()


def scale(k, wrap=kernel):
    """A kernel that multiplies by k. Each call makes a new dispatcher, as a new process would."""

    @wrap
    def scaled(x, out):
        for i in range(x.size):
            out[i] = x[i] * k

    return scaled


def plain(function):
    return function


def result(f, dtype=np.float64):
    x = np.arange(1, 4, dtype=dtype)
    out = np.empty_like(x)
    f(x, out)
    return out.tolist()


def hits(f):
    return sum(f.stats.cache_hits.values())


def files(root):
    return sorted(path for path in root.rglob("*") if path.is_file())


# --- keys ---------------------------------------------------------------------------------------------------------


DIFFERENT = [
    (1, 2),
    (1, 1.0),
    (1, True),
    (0.0, -0.0),
    (1.0, np.float32(1)),
    ("a", b"a"),
    ((1, 2), (2, 1)),
    (1j, 1.0),
    (frozenset({1}), frozenset({2})),
    (np.dtype(np.float32), np.dtype(np.float64)),
    (np.float32, np.float64),
    (types.float32, types.float64),
    (np.zeros(2), np.zeros(3)),
    (np.zeros((2, 3)), np.zeros((3, 2))),
    (None, 0),
    (np.exp, np.log),
    (stat.S_ISDIR, stat.S_ISREG),
    (np.linalg.norm, np.linalg.inv),
    (stat, os),
    (Path, NumkanCacheWarning),
    (HTTPStatus.OK, HTTPStatus.CREATED),
    (HTTPStatus.OK, 200),
    (cache_folder.private_folder, cache._folder.__wrapped__),
]


@pytest.mark.parametrize(("one", "other"), DIFFERENT, ids=lambda value: type(value).__name__)
def test_what_a_closure_holds_is_in_the_key(one, other):
    assert function_key(scale(one, plain)) == function_key(scale(one, plain))
    assert function_key(scale(one, plain)) != function_key(scale(other, plain))


def test_the_body_is_in_the_key_but_not_the_place():
    def f(x):
        return x + 1 in {3, 4, 5}

    keys = [function_key(f)]

    def f(x):
        return x + 1 in {3, 4, 5}

    keys.append(function_key(f))

    def f(x):
        return x - 1 in {3, 4, 5}

    keys.append(function_key(f))

    def f(x):
        return x + 1 in {3, 4, 6}

    keys.append(function_key(f))
    assert keys[0] == keys[1]
    assert len(set(keys)) == 3


def test_globals_are_in_the_key(monkeypatch):
    def f(x):
        return [x * FACTOR for _ in range(3)]

    before = function_key(f)
    monkeypatch.setitem(globals(), "FACTOR", 3)
    assert function_key(f) != before


def test_defaults_are_in_the_key():
    def make(k):
        def f(x, y=k):
            return x + y

        return f

    assert function_key(make(1)) == function_key(make(1)) != function_key(make(2))


def test_kernels_and_intrinsics_in_a_closure_are_in_the_key():
    def outer(inner):
        @kernel
        def f(x, out):
            inner(x, out)

        return f

    def constant(k):
        @intrinsic
        def number(typing_context):
            def codegen(context, builder, signature, args):
                return context.get_constant(types.float64, k)

            return types.float64(), codegen

        return number

    for make in (scale, constant):
        keys = [function_key(outer(outer(make(k))).py_func) for k in (2, 2, 3)]
        assert keys[0] == keys[1] != keys[2]


def test_recursion_has_a_key():
    def make(k):
        def down(n):
            return up(n - 1) if n else k

        def up(n):
            return down(n - 1) if n else k

        return down

    assert function_key(make(1)) == function_key(make(1)) != function_key(make(2))


def test_what_has_no_stable_name_is_refused(cache_root):
    class Local:
        pass

    compiled_closure = scale(2, njit)
    for held in (object(), Local, Local(), {1: 2}, [1], np.array([None]), compiled_closure):
        with pytest.raises(TypeError, match="kernel cannot hold"):
            result(scale(held))
    with pytest.raises(TypeError, match="passed to kernels by closure"):
        overload_key(scale(1, plain), [types.Dispatcher(scale(2))])
    assert files(cache_root) == []


# --- loading and saving -------------------------------------------------------------------------------------------


def test_a_kernel_is_compiled_once_and_then_loaded(cache_root):
    first, second = scale(2), scale(2)
    assert not cache_root.exists()  # nothing is touched before the first call
    assert result(first) == result(second) == [2, 4, 6]
    assert (hits(first), hits(second)) == (0, 1)
    assert len(files(cache_root)) == 1
    assert first.stats.cache_path == str(files(cache_root)[0].parent)


def test_closure_values_and_dtypes_have_files_of_their_own(cache_root):
    for k in (2, 3):
        for dtype in (np.float32, np.float64):
            assert result(scale(k), dtype) == [k, 2 * k, 3 * k]
    assert len(files(cache_root)) == 4
    for dtype in (np.float32, np.float64):
        again = scale(3)
        assert result(again, dtype) == [3, 6, 9]
        assert hits(again) == 1


def test_a_file_of_another_signature_is_not_used(cache_root):
    result(scale(2), np.float32)
    (single,) = files(cache_root)
    result(scale(2), np.float64)
    (double,) = set(files(cache_root)) - {single}
    shutil.copy(single, double)
    f = scale(2)
    assert result(f) == [2, 4, 6]
    assert hits(f) == 0


def test_callees_have_no_files(cache_root):
    inner = scale(2)

    @kernel
    def outer(x, out):
        inner(x, out)
        inner(out, out)

    assert result(outer) == [4, 8, 12]
    assert len(files(cache_root)) == 1
    assert "outer" in files(cache_root)[0].name


def test_a_kernel_calls_copies_of_others_that_no_other_code_can_take_the_place_of():
    @kernel
    def add_powers(x, out):  # too long to be inlined
        for power in (1, 2, 3, 4, 5, 6, 7, 8):
            for i in range(x.size):
                if x[i] > power:
                    out[i] += x[i] ** power + np.sin(x[i])

    @kernel
    def add_twice(x, out):
        add_powers(x, out)
        add_powers(x[1:], out[1:])

    add_powers(*np.ones((2, 3)))  # its own machine code lies ready
    add_twice(*np.ones((2, 3)))
    (compiled,) = add_twice.overloads.values()
    functions = compiled.library._final_module.functions
    links = {function.name: function.linkage for function in functions if not function.is_declaration}
    (copy,) = (name for name in links if "add_powers" in name)
    assert links[copy] == Linkage.internal
    assert [name for name, link in links.items() if link == Linkage.external]


def test_a_kernel_that_calls_itself_is_refused(cache_root):
    @kernel
    def fibonacci(n):
        return n if n < 2 else fibonacci(n - 1) + fibonacci(n - 2)

    with pytest.raises(errors.NumbaError, match="re-entrant"):
        fibonacci(6)


def test_what_only_kernels_call_is_optimized_in_their_code_alone(cache_root):
    inner = scale(2)

    @kernel
    def outer(x, out):
        inner(x, out)

    assert result(outer) == [2, 4, 6]
    assert inner.signatures == []  # no machine code that Python could call
    assert result(inner) == [2, 4, 6]
    assert len(inner.signatures) == 1


def test_recompiling_ignores_the_file(cache_root):
    f = scale(2)
    result(f)
    f.recompile()
    assert hits(f) == 0
    assert result(f) == [2, 4, 6]
    assert len(files(cache_root)) == 1


def test_an_entry_is_compiled_at_its_first_call_and_takes_named_tuples(cache_root):
    @kernel
    def added(pair):
        return pair.array[0] + pair.number

    entry = Entry(added)
    assert not entry.is_compiled
    for number in (1.0, 2.5):
        assert entry.call(Pair(np.array([number]), 3.0)) == number + 3
        assert entry.is_compiled
    with pytest.raises(TypeError):
        entry.call(Pair(np.array([number]), 3.0), 1)


def test_garbage_is_collected_after_compiling_as_before(cache_root):
    result(scale(2))
    assert gc.isenabled()
    gc.disable()
    try:
        result(scale(3))
        assert not gc.isenabled()
    finally:
        gc.enable()


def test_with_the_jit_off_a_kernel_is_the_function(monkeypatch):
    monkeypatch.setattr(config, "DISABLE_JIT", 1)
    function = scale(2, plain)
    assert kernel(function) is function


# --- damage -------------------------------------------------------------------------------------------------------


def flipped(at):
    def damage(data):
        data = bytearray(data)
        data[at] ^= 1
        return bytes(data)

    return damage


DAMAGES = {
    "empty": lambda data: b"",
    "cut in the header": lambda data: data[:20],
    "cut in the middle": lambda data: data[: len(data) // 2],
    "cut at the end": lambda data: data[:-1],
    "bit flipped in the magic": flipped(0),
    "bit flipped in the checksum": flipped(20),
    "bit flipped in the payload": flipped(1000),
    "bit flipped at the end": flipped(-1),
    "foreign": lambda data: b"\x80\x04N." * 1000,
    "whole, of another layout": lambda data: whole(b"\x80\x04N."),
    "whole, not a pickle": lambda data: whole(b"nonsense"),
}


def whole(payload):
    return cache._MAGIC + cache.hashlib.sha256(payload).digest() + payload


@pytest.mark.parametrize("damage", DAMAGES.values(), ids=DAMAGES.keys())
def test_damaged_files_are_compiled_anew_with_one_warning(cache_root, damage):
    for k in (2, 3):
        result(scale(k))
    sound = files(cache_root)
    for path in sound:
        path.write_bytes(damage(path.read_bytes()))
    with pytest.warns(NumkanCacheWarning, match="compiled anew") as caught:
        assert [result(scale(k)) for k in (2, 3)] == [[2, 4, 6], [3, 6, 9]]
    assert len(caught) == 1
    assert files(cache_root) == sound
    again = [scale(2), scale(3)]
    assert [result(f) for f in again] == [[2, 4, 6], [3, 6, 9]]
    assert [hits(f) for f in again] == [1, 1]


def test_unreadable_files_are_passed_over(cache_root):
    result(scale(2))
    (path,) = files(cache_root)
    path.unlink()
    path.mkdir()
    with pytest.warns(NumkanCacheWarning, match="cannot be read") as caught:
        assert result(scale(2)) == [2, 4, 6]
    assert len(caught) == 1


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="needs named pipes")
def test_a_pipe_in_the_place_of_a_file_is_not_waited_for(cache_root):
    result(scale(2))
    (path,) = files(cache_root)
    path.unlink()
    os.mkfifo(path)
    with pytest.warns(NumkanCacheWarning, match="is damaged: it is compiled anew"):
        assert result(scale(2)) == [2, 4, 6]
    assert files(cache_root) == [path]


# --- folders ------------------------------------------------------------------------------------------------------


def copied(folder):
    """A copy of the package."""
    return shutil.copytree(SOURCES, folder / "package", ignore=shutil.ignore_patterns("__pycache__"))


def test_a_change_in_any_source_file_is_seen(tmp_path):
    package = copied(tmp_path)
    original = cache.source_hash(package)
    assert original == cache.source_hash(SOURCES)
    callee = package / "spline" / "pieces.py"
    callee.write_bytes(callee.read_bytes() + b"\n")
    changed = cache.source_hash(package)
    (package / "new.py").touch()
    assert len({original, changed, cache.source_hash(package)}) == 3


def test_a_change_in_what_stands_above_kernels_is_not_seen(tmp_path):
    package = copied(tmp_path)
    original = cache.source_hash(package)
    for name in ("conformance/laws/values.py", "conformance/__init__.py", "interop/__init__.py", "plot/edge.py"):
        path = package / name
        path.write_bytes(path.read_bytes() + b"\n")
    (package / "conformance" / "new.py").touch()
    assert cache.source_hash(package) == original
    (package / "layer" / "conformance").mkdir()
    (package / "layer" / "conformance" / "new.py").touch()
    assert cache.source_hash(package) != original


def test_no_kernel_comes_from_what_stands_above_kernels():
    edges = test_layering.graph(SOURCES)
    names = {name.removesuffix(".py") for name in cache._ABOVE_KERNELS}
    above = {module for module in edges if test_layering.part(module) in names}
    assert {test_layering.part(module) for module in above} == names
    assert not [
        (module, target)
        for module, targets in edges.items()
        if module not in above | {"numkan"}
        for target in targets & above
    ]
    for module in above:
        path = SOURCES.parent.joinpath(*module.split("."))
        source = path / "__init__.py" if path.is_dir() else path.with_suffix(".py")
        text = source.read_text(encoding="utf-8")
        assert not re.search(r"^ *(import|from) (numba|llvmlite)|^ *@kernel|import kernel", text, re.MULTILINE)


def test_settings_have_folders_of_their_own(cache_root, monkeypatch):
    monkeypatch.setattr(config, "BOUNDSCHECK", None)
    monkeypatch.delenv("NUMKAN_VECTOR_WIDTH", raising=False)
    result(scale(2))
    with monkeypatch.context() as patch:
        patch.setattr(config, "BOUNDSCHECK", 1)
        cache._folder.cache_clear()
        checked = scale(2)
        with pytest.raises(IndexError):
            checked(np.ones(3), np.ones(2))
    with monkeypatch.context() as patch:
        patch.setenv("NUMKAN_VECTOR_WIDTH", "128")
        cache._folder.cache_clear()
        result(scale(2))
    assert len(files(cache_root)) == len(list(cache_root.iterdir())) == 3


def expect_uncached(match):
    with pytest.warns(NumkanCacheWarning, match=match) as caught:
        assert [result(scale(k)) for k in (2, 3)] == [[2, 4, 6], [3, 6, 9]]
    assert len(caught) == 1


def test_a_folder_that_cannot_be_made_costs_one_warning(tmp_path, monkeypatch):
    (tmp_path / "file").touch()
    monkeypatch.setattr(config, "CACHE_DIR", str(tmp_path / "file"))
    expect_uncached("not kept on disk")
    assert scale(2).stats.cache_path == ""


def test_a_folder_that_cannot_be_written_costs_one_warning(cache_root):
    cache_root.mkdir(parents=True, mode=0o700)
    cache._folder().touch()
    expect_uncached("cannot be written|cannot be read")


@pytest.mark.skipif(IS_ROOT, reason="root may write anywhere")
def test_a_read_only_folder_is_read(cache_root):
    result(scale(2))
    cache._folder().chmod(0o500)
    try:
        f = scale(2)
        assert result(f) == [2, 4, 6]
        assert hits(f) == 1
        with pytest.warns(NumkanCacheWarning, match="cannot be written"):
            assert result(scale(3)) == [3, 6, 9]
    finally:
        cache._folder().chmod(0o700)


def test_a_full_disk_costs_one_warning_and_leaves_no_file(cache_root, monkeypatch):
    def replace(source, target):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(cache.os, "replace", replace)
    expect_uncached("No space left")
    assert files(cache_root) == []


posix = pytest.mark.skipif(os.name == "nt", reason="POSIX permissions")


@posix
@pytest.mark.parametrize("mode", [0o777, 0o770, 0o702])
def test_a_folder_that_others_can_write_to_is_refused(cache_root, mode):
    cache_root.mkdir(parents=True)
    cache_root.chmod(mode)
    expect_uncached("other users can write")
    assert files(cache_root) == []


@posix
def test_a_folder_that_others_can_replace_is_refused(cache_root):
    cache_root.mkdir(parents=True, mode=0o700)
    cache_root.parent.chmod(0o777)
    expect_uncached("other users can replace")
    cache_root.parent.chmod(0o1777)  # as /tmp: nobody but the owner may rename or remove what is in it
    cache._folder.cache_clear()
    assert cache._folder().parent == cache_root


@posix
def test_a_link_and_a_foreign_folder_are_refused(cache_root, tmp_path):
    (tmp_path / "elsewhere").mkdir(mode=0o700)
    cache_root.parent.mkdir()
    cache_root.symlink_to(tmp_path / "elsewhere")
    expect_uncached("not a folder")
    if IS_ROOT:
        cache_root.unlink()
        cache_root.mkdir(mode=0o700)
        os.chown(cache_root, 12345, -1)
        with pytest.raises(PermissionError, match="another user"):
            cache_folder._make_private(cache_root)


@posix
def test_the_cache_is_the_users_own(tmp_path, monkeypatch):
    monkeypatch.setattr(config, "CACHE_DIR", "")
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "temporary"))
    monkeypatch.delenv("XDG_CACHE_HOME", raising=False)
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    below = ("Library", "Caches") if sys.platform == "darwin" else (".cache",)
    assert cache_folder.private_folder() == (tmp_path.joinpath("home", *below, "numkan"), [])
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "xdg"))
    assert cache_folder.private_folder() == (tmp_path / "xdg" / "numkan", [])


@posix
@pytest.mark.parametrize("home", [None, "file"])
def test_without_a_home_a_private_folder_for_temporary_files_serves(tmp_path, monkeypatch, home):
    (tmp_path / "file").touch()
    monkeypatch.setattr(config, "CACHE_DIR", "")
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    monkeypatch.delenv("XDG_CACHE_HOME", raising=False)
    if home is None:
        monkeypatch.delenv("HOME", raising=False)
    else:
        monkeypatch.setenv("HOME", str(tmp_path / home))
    for expected_hits in (0, 1):
        f = scale(2)
        assert result(f) == [2, 4, 6]
        assert hits(f) == expected_hits
    folder = cache._folder().parent
    assert folder == tmp_path / f"numkan-cache-{os.getuid()}"
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700


@posix
def test_a_read_only_home_is_passed_over(tmp_path, monkeypatch):
    monkeypatch.setattr(config, "CACHE_DIR", "")
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "home"))
    monkeypatch.setattr(cache_folder.os, "access", lambda path, mode: path != tmp_path / "home" / "numkan")
    folder, reasons = cache_folder.private_folder()
    assert folder == tmp_path / f"numkan-cache-{os.getuid()}"
    assert "read-only" in reasons[0]


def test_old_folders_are_removed(cache_root):
    cache_root.mkdir(parents=True, mode=0o700)
    for age in range(30):
        folder = cache_root / f"old{age:02}"
        folder.mkdir()
        (folder / "file").touch()
        os.utime(folder, (1e9 - age, 1e9 - age))
    result(scale(2))
    left = {path.name for path in cache_root.iterdir()}
    assert left == {cache._folder().name, *(f"old{age:02}" for age in range(cache._KEPT_FOLDERS - 1))}


# --- processes ----------------------------------------------------------------------------------------------------

needs_jit = pytest.mark.skipif(bool(os.environ.get("NUMBA_DISABLE_JIT", "0") != "0"), reason="the JIT is off")

# `helper` is too long to be inlined: it is a symbol of its own in the machine code of `f`.
TINY = """
import os, sys
import numpy as np
from numkan.compile import kernel

def make(k):
    @kernel
    def helper(x, out):
        s = 0.0
        for i in range(out.size):
            s = s * 0.5 + x * i + k
            for j in range(out.size):
                if out[j] > s:
                    s = s + k * out[j]
                elif out[j] < -s:
                    s = s - k / out[j]
                else:
                    for l in range(j):
                        s += (out[l] - s) / (l + k)
            out[i] = s * k
        for i in range(1, out.size):
            out[i] = out[i - 1] * out[i] / (1 + abs(out[i] * k))
            if out[i] > 1e10:
                out[i] = k
        return s

    @kernel
    def f(x, out):
        t = 0.0
        for i in range(3):
            t += helper(x + i, out) + helper(x - i, out)
            t = helper(t, out) + helper(out[1], out) + helper(out[2], out)
        return t

    return f

assert not os.path.exists(os.environ["NUMBA_CACHE_DIR"]) or "warm" in sys.argv
for k in map(int, sys.argv[1].split(",")):
    f = make(k)
    twin = make(k)  # a second kernel of one key in one process
    print(k, f(1.5, np.zeros(4)).hex(), sum(f.stats.cache_hits.values()))
    assert twin(1.5, np.zeros(4)) == f(1.5, np.zeros(4))
"""


def start(tmp_path, *arguments, **environment):
    """Start a process that runs TINY on the cache `tmp_path / "shared"`."""
    inherited = {name: value for name, value in os.environ.items() if not name.startswith("NUMBA_")}
    setting = {"NUMBA_CACHE_DIR": str(tmp_path / "shared"), "PYTHONPATH": str(PROJECT), "PYTHONWARNINGS": "error"}
    command = [sys.executable, str(tmp_path / "tiny.py"), *arguments]
    return subprocess.Popen(command, env=inherited | setting | environment, text=True, stdout=subprocess.PIPE)


@pytest.fixture
def tiny(tmp_path):
    (tmp_path / "tiny.py").write_text(TINY)
    return tmp_path


def output(process):
    text, _ = process.communicate(timeout=120)
    assert process.returncode == 0
    return [line.split() for line in text.splitlines()]


@pytest.mark.jit
@needs_jit
def test_kernels_of_one_factory_from_two_processes_do_not_mix_in_a_third(tiny):
    ((_, three, _),) = output(start(tiny, "3", PYTHONHASHSEED="1"))
    ((_, five, _),) = output(start(tiny, "5", "warm", PYTHONHASHSEED="2"))
    assert three != five
    third = [start(tiny, order, "warm", PYTHONHASHSEED="3") for order in ("3,5", "5,3")]
    assert output(third[0]) == [["3", three, "1"], ["5", five, "1"]]
    assert output(third[1]) == [["5", five, "1"], ["3", three, "1"]]


@pytest.mark.jit
@needs_jit
def test_eight_processes_with_a_cold_cache_agree_and_leave_it_clean(tiny):
    processes = [start(tiny, "2", "warm") for _ in range(8)]
    answers = {value for process in processes for _, value, _ in output(process)}
    assert len(answers) == 1
    assert [path.suffix for path in files(tiny / "shared")] == [".kernel"]
    assert output(start(tiny, "2", "warm")) == [["2", answers.pop(), "1"]]


PACKAGE = """
import numpy as np
from numba.core import event
from numkan.spline.knots import extend_grid
from numkan.spline.local import local_functions
from numkan.spline.pieces import local_pieces

grid = extend_grid(np.linspace(-1, 1, 6)[None, :], k_extend=3)
with event.install_recorder("numba:compile") as compiled:
    functions = local_functions(np.array([[0.25]]), local_pieces(grid, 3))
print(len(compiled.buffer), functions.values.tobytes().hex())
"""


@pytest.mark.jit
@needs_jit
def test_a_second_process_compiles_none_of_the_package(tiny):
    (tiny / "tiny.py").write_text(PACKAGE)
    (first,), (second,) = output(start(tiny)), output(start(tiny))
    assert int(first[0]) > 0
    assert second == ["0", first[1]]


@pytest.mark.jit
@pytest.mark.parametrize("noalias", [False, True])
def test_noalias_holds_in_the_code_of_a_kernel_that_calls(cache_root, noalias):
    # Broken on purpose: the promise is seen where x[0] is read once for all additions.
    @partial(kernel, inline=True, noalias=noalias)
    def add(x, out, times):
        for _ in range(times):
            out[0] += x[0]

    @kernel
    def outer(x, out, times):
        add(x, out, times)

    x = np.array([1.0])
    outer(x, x, 3)
    assert x[0] == (4.0 if noalias else 8.0)
