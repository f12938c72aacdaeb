"""Models on disk: every bit comes back, the same model makes the same bytes, and no file can do harm."""

from __future__ import annotations

import io
import json
import os
import pickle
import stat
import subprocess
import sys
import tempfile
import tracemalloc
import zipfile
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from numkan import KAN
from numkan.model import archive

SETTINGS = ("n_in", "n_out", "k", "G", "dtype", "base_fun", "grid_eps", "extrapolate", "sp_trainable", "sb_trainable")
ARRAYS = ("grid", "coef", "scale_base", "scale_sp", "mask")


def state(model):
    """All that a model is, in a form that compares bit by bit."""
    return [
        ([getattr(layer, name) for name in SETTINGS], [getattr(layer, name).tobytes() for name in ARRAYS])
        for layer in model.act_fun
    ]


def odd_bits(model):
    """Fill a model with numbers that a careless writer changes: -0.0, payloads of NaN, infinities, the smallest."""
    integer, payload = (np.uint64, 0x7FF8_0000_DEAD_BEEF) if model.dtype == np.float64 else (np.uint32, 0x7FC0_BEEF)
    odd = np.array([payload], integer).view(model.dtype)[0]
    tiny = np.finfo(model.dtype).smallest_subnormal
    for layer in model.act_fun:
        layer.coef[0, 0, :3] = [-0.0, np.inf, tiny]
        layer.coef[0, 0, -1:] = np.array([payload], integer).view(model.dtype)
        layer.scale_base[0, :1] = np.array([payload + 1], integer).view(model.dtype)
        layer.scale_sp[-1, -1] = -0.0
        layer.mask[0, 0] = 0
    assert np.isnan(odd)
    return model


@st.composite
def models(draw):
    depth = draw(st.integers(1, 3))
    width = draw(st.lists(st.integers(1, 4), min_size=depth + 1, max_size=depth + 1))
    return KAN(
        width,
        grid=draw(st.lists(st.integers(1, 6), min_size=depth, max_size=depth)),
        k=draw(st.lists(st.integers(2, 5), min_size=depth, max_size=depth)),
        base_fun=draw(st.sampled_from(["silu", "identity", "zero"])),
        extrapolate=draw(st.sampled_from(["continue", "fade", "linear", "clamp", "nan", "raise"])),
        grid_eps=draw(st.floats(0, 1)),
        grid_range=draw(st.sampled_from([(-1, 1), (0.1, 0.3), (-0.0, 1e5)])),
        sp_trainable=draw(st.booleans()),
        sb_trainable=draw(st.booleans()),
        seed=draw(st.integers(0, 99)),
        dtype=draw(st.sampled_from([np.float64, np.float32])),
    )


@given(models())
def test_N_IO_every_bit_and_setting_comes_back_and_saving_twice_gives_the_same_bytes(tmp_path, model):
    odd_bits(model)
    before = state(model)
    first, second = tmp_path / "first.npz", tmp_path / "second.npz"
    model.save(first)
    again = KAN.load(first)
    again.save(second)
    assert type(again) is KAN
    assert state(again) == before == state(model)
    assert again.params.tobytes() == model.params.tobytes()
    assert first.read_bytes() == second.read_bytes()


def test_N_IO_a_loaded_model_computes_the_same_bits_and_goes_on_living(tmp_path):
    model, x = KAN([2, 3, 1], seed=4), np.random.default_rng(0).uniform(-2, 2, (20, 2))
    model.update_grid_from_samples(x)
    model.save(tmp_path / "m.npz")
    again = KAN.load(tmp_path / "m.npz")
    assert again(x).tobytes() == model(x).tobytes()
    again.act_fun[0].coef[0, 0, 0] = 7.0
    assert 7.0 in again.params
    assert again(x).tobytes() != model(x).tobytes()


def test_the_same_bytes_come_out_of_another_process_on_another_day(tmp_path):
    program = "import sys; from numkan import KAN; KAN([2, 3, 1], seed=4).save(sys.argv[1])"
    subprocess.run(
        [sys.executable, "-c", program, tmp_path / "theirs.npz"], check=True, env=dict(os.environ, TZ="Asia/Tokyo")
    )
    KAN([2, 3, 1], seed=4).save(tmp_path / "ours.npz")
    assert (tmp_path / "theirs.npz").read_bytes() == (tmp_path / "ours.npz").read_bytes()


def test_numpy_reads_the_file_without_pickle(tmp_path):
    model = KAN([2, 3, 1], grid=4, k=2)
    model.save(tmp_path / "m.npz")
    with np.load(tmp_path / "m.npz", allow_pickle=False) as file:
        assert file["layer_0.coef"].tolist() == model.act_fun[0].coef.tolist()
        config = json.loads(file["config"].tobytes())
    assert config["layers"][1]["G"] == 4
    assert config["format"] == 1


def test_a_users_base_function_is_asked_for_on_loading(tmp_path):
    pair = (np.sin, np.cos)
    model, x = KAN([2, 2, 1], base_fun=pair, seed=2), np.linspace(-1, 1, 10).reshape(5, 2)
    model.save(tmp_path / "m.npz")
    with pytest.raises(ValueError, match="Argument `base_fun` must be the pair"):
        KAN.load(tmp_path / "m.npz")
    with pytest.raises(ValueError, match="Argument `base_fun` must be the pair"):
        KAN.load(tmp_path / "m.npz", base_fun="silu")
    with pytest.raises(TypeError, match="Argument `base_fun` must be"):
        KAN.load(tmp_path / "m.npz", base_fun=(1, 2))
    again = KAN.load(tmp_path / "m.npz", base_fun=pair)
    assert again(x).tobytes() == model(x).tobytes()
    assert state(again) == state(model)


def test_a_base_function_that_is_not_wanted_is_an_error(tmp_path):
    KAN([1, 1]).save(tmp_path / "m.npz")
    with pytest.raises(ValueError, match=r"Argument `base_fun` must be left out.*'silu'"):
        KAN.load(tmp_path / "m.npz", base_fun=(np.sin, np.cos))


def test_the_encoding_of_a_table_stays_with_the_model_and_with_what_is_made_of_it(tmp_path):
    model, x = KAN([2, 3, 1], grid=3, seed=0), np.random.default_rng(0).uniform(-1, 1, (50, 2))
    model._encoding = b'{"any": ["object"]}'
    model.save(tmp_path / "m.npz")
    again = KAN.load(tmp_path / "m.npz")
    again.save(tmp_path / "again.npz")
    assert (tmp_path / "again.npz").read_bytes() == (tmp_path / "m.npz").read_bytes()
    again.update_grid_from_samples(x)
    for made in (again, again.copy(), pickle.loads(pickle.dumps(again)), again.refine(6), again.prune(x)):
        assert made._encoding == model._encoding
    again._become(KAN([2, 3, 1]))
    assert again._encoding == model._encoding
    assert KAN([2, 3, 1])._encoding is None


# --- crashes ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("fault", ["os.fsync", "os.replace", "np.lib.format.write_array"])
@pytest.mark.parametrize("error", [OSError("no space left"), KeyboardInterrupt()])
def test_N_IO_a_failed_save_leaves_the_old_file_and_nothing_else(tmp_path, monkeypatch, fault, error):
    path = tmp_path / "m.npz"
    KAN([2, 1], seed=1).save(path)
    before = path.read_bytes()

    def fail(*arguments, **options):
        raise error

    monkeypatch.setattr(f"numkan.model.archive.{fault}", fail)
    with pytest.raises(type(error)):
        KAN([2, 1], seed=2).save(path)
    assert path.read_bytes() == before
    assert list(tmp_path.iterdir()) == [path]


KILLED = """
import os, sys
import numkan.model.archive as archive
from numkan import KAN
module, name, after = {"write": (archive.np.lib.format, "write_array", 3), "sync": (archive.os, "fsync", 0),
                       "rename": (archive.os, "replace", 0)}[sys.argv[2]]
right, calls = getattr(module, name), []
def killed(*arguments, **options):
    calls.append(name)
    if len(calls) > after:
        os._exit(9)
    return right(*arguments, **options)
setattr(module, name, killed)
KAN([2, 1], seed=2).save(sys.argv[1])
"""


@pytest.mark.parametrize("where", ["write", "sync", "rename"])
def test_N_IO_a_process_killed_in_the_middle_leaves_the_old_file(tmp_path, where):
    path = tmp_path / "m.npz"
    KAN([2, 1], seed=1).save(path)
    before = path.read_bytes()
    assert subprocess.run([sys.executable, "-c", KILLED, path, where]).returncode == 9
    assert path.read_bytes() == before
    assert state(KAN.load(path)) == state(KAN([2, 1], seed=1))


def test_a_link_stays_a_link_and_its_file_is_replaced(tmp_path):
    (tmp_path / "link.npz").symlink_to(tmp_path / "real.npz")
    KAN([1, 1]).save(tmp_path / "link.npz")
    assert (tmp_path / "link.npz").is_symlink()
    KAN.load(tmp_path / "real.npz")


# --- whose place a file takes -------------------------------------------------------------------------------------

posix = pytest.mark.skipif(os.name == "nt", reason="POSIX permissions")


@posix
@pytest.mark.parametrize("mode", [0o600, 0o644, 0o640, 0o755])
def test_an_older_file_keeps_its_mode(tmp_path, mode):
    path = tmp_path / "m.npz"
    KAN([1, 1]).save(path)
    path.chmod(mode)
    KAN([2, 1]).save(path)
    assert stat.S_IMODE(path.stat().st_mode) == mode
    assert KAN.load(path).n_in == 2


@posix
def test_a_private_file_is_private_while_it_is_written(tmp_path, monkeypatch):
    path, modes, begin = tmp_path / "m.npz", [], zipfile.ZipFile.open
    KAN([1, 1]).save(path)
    path.chmod(0o600)

    def watched(self, *args, **options):
        modes.append([stat.S_IMODE(each.stat().st_mode) for each in tmp_path.iterdir()])
        return begin(self, *args, **options)

    monkeypatch.setattr(zipfile.ZipFile, "open", watched)
    KAN([2, 1]).save(path)
    assert modes
    assert all(now == [0o600, 0o600] for now in modes)  # the old file, and the one that is being written


@posix
def test_a_new_file_has_the_mode_of_any_new_file(tmp_path):
    (tmp_path / "other").touch()
    KAN([1, 1]).save(tmp_path / "m.npz")
    assert (tmp_path / "m.npz").stat().st_mode == (tmp_path / "other").stat().st_mode


READ_ONLY = """
import os, sys
from numkan import KAN
path, model = sys.argv[1], KAN([2, 1])
model.save(path)  # all is imported that saving needs
os.chmod(path, 0o400)
before = open(path, "rb").read()
if os.getuid() == 0:  # who may write anywhere
    for own in (path, os.path.dirname(path)):
        os.chown(own, 65534, 65534)
    os.setuid(65534)
try:
    model.save(path)
except PermissionError:
    sys.exit(7 if open(path, "rb").read() == before else 1)
"""


@posix
def test_a_read_only_file_is_refused_as_open_would():
    with tempfile.TemporaryDirectory() as folder:  # pytest's own folders are closed to other users
        done = subprocess.run([sys.executable, "-c", READ_ONLY, os.path.join(folder, "m.npz")])
        assert done.returncode == 7
        assert os.listdir(folder) == ["m.npz"]


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="needs named pipes")
def test_pipes_and_devices_stay_what_they_are(tmp_path):
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "null").symlink_to(os.devnull)
    for name, is_such in (("pipe", Path.is_fifo), ("null", Path.is_char_device)):
        with pytest.raises(ValueError, match=r"Argument `path` must name a file, not .* a pipe or a device"):
            KAN([1, 1]).save(tmp_path / name)
        assert is_such(tmp_path / name)
    with pytest.raises(OSError, match="directory"):
        KAN([1, 1]).save(tmp_path)
    assert sorted(os.listdir(tmp_path)) == ["null", "pipe"]


def test_a_name_may_be_as_long_as_the_system_allows(tmp_path):
    path = tmp_path / ("m" * 251 + ".npz")
    KAN([1, 1]).save(path)
    KAN([1, 1]).save(path)
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.skipif(not hasattr(os, "O_DIRECTORY"), reason="folders cannot be synchronised")
def test_the_folder_is_synchronised_after_the_file_has_its_name(tmp_path, monkeypatch):
    path, synced, fsync = tmp_path / "m.npz", [], os.fsync

    def watched(handle):
        synced.append((stat.S_ISDIR(os.fstat(handle).st_mode), path.exists()))
        fsync(handle)

    monkeypatch.setattr(os, "fsync", watched)
    KAN([1, 1]).save(path)
    assert synced == [(False, False), (True, True)]


def test_what_a_killed_process_left_behind_is_removed_a_day_later(tmp_path):
    path = tmp_path / "m.npz"
    subprocess.run([sys.executable, "-c", KILLED, path, "sync"])
    (left,) = tmp_path.iterdir()
    KAN([1, 1]).save(path)
    assert left.exists()  # another process may be writing it
    (tmp_path / "mine.tmp").touch()
    for old in (left, tmp_path / "mine.tmp"):
        os.utime(old, (0, 0))
    KAN([1, 1]).save(path)
    assert sorted(os.listdir(tmp_path)) == ["m.npz", "mine.tmp"]


# --- files that numkan did not write ------------------------------------------------------------------------------


def members(path):
    with zipfile.ZipFile(path) as file:
        return {name: file.read(name) for name in file.namelist()}


def write(path, contents, compression=zipfile.ZIP_STORED):
    with zipfile.ZipFile(path, "w", compression) as file:
        for name, content in contents:
            file.writestr(name, content)


def npy(array):
    buffer = io.BytesIO()
    np.save(buffer, array, allow_pickle=True)
    return buffer.getvalue()


def change_config(contents, change):
    array = np.load(io.BytesIO(contents["config.npy"]))
    config = json.loads(array.tobytes())
    change(config)
    contents["config.npy"] = npy(np.frombuffer(json.dumps(config).encode(), np.uint8))


@pytest.fixture
def contents(tmp_path):
    KAN([2, 3, 1]).save(tmp_path / "good.npz")
    return members(tmp_path / "good.npz")


def assert_refused(path, reason=""):
    """One clear ValueError, and never more memory than the file and a little."""
    tracemalloc.start()
    try:
        with pytest.raises(ValueError, match=rf"Argument `path` must name a model that numkan saved.*{reason}"):
            KAN.load(path)
        assert tracemalloc.get_traced_memory()[1] < 2_000_000
    finally:
        tracemalloc.stop()


def edit(**changes):
    return lambda config: config["layers"][0].update(changes)


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (lambda config: config.pop("program"), "not written by numkan"),
        (lambda config: config.update(format=2), "its format is 2"),
        (lambda config: config.update(dtype="float16"), "its dtype is 'float16'"),
        (lambda config: config.update(dtype="float32"), "has the header"),
        (lambda config: config.update(dtype=["float64"]), "its dtype"),
        (lambda config: config.update(layers=[]), "no layers"),
        (lambda config: config.update(layers={}), "no layers"),
        (lambda config: config["layers"].pop(), "layer_1.coef.npy is unknown"),
        (lambda config: config["layers"].append(dict(config["layers"][1], n_in=1)), "layer_2.coef.npy is missing"),
        (lambda config: config["layers"].append(config["layers"][1]), "is followed by"),
        (lambda config: config["layers"][0].pop("k"), "has the settings"),
        (edit(extra=1), "has the settings"),
        (edit(k=-1), "`k` must be at least 0"),
        (edit(k=2), "has the header"),
        (edit(G=10**15), "has the header"),
        (edit(G=1e3), "`G` must be an integer"),
        (edit(n_in=True), "`n_in` must be an integer"),
        (edit(n_in=10**30), "has the header"),
        (edit(grid_eps=1.5), "`grid_eps` must lie"),
        (edit(grid_eps="1"), "`grid_eps` must be"),
        (edit(base_fun="sin"), "`base_fun` must be one of"),
        (edit(base_fun=[1]), "`base_fun` must be"),
        (edit(extrapolate=None), "`extrapolate` must be"),
        (edit(sp_trainable="no"), "`sp_trainable` must be"),
    ],
)
def test_a_wrong_setting_is_refused(tmp_path, contents, change, reason):
    change_config(contents, change)
    write(tmp_path / "bad.npz", contents.items())
    assert_refused(tmp_path / "bad.npz", reason)


@pytest.mark.parametrize(
    ("name", "content", "reason"),
    [
        ("config.npy", None, "no member config.npy"),
        ("config.npy", npy(np.frombuffer(b"{", np.uint8)), ""),
        ("config.npy", npy(np.frombuffer(b"[" * 100_000, np.uint8)), ""),
        ("config.npy", npy(np.frombuffer(b"[1]", np.uint8)), "not written by numkan"),
        ("config.npy", npy(np.frombuffer(b"\xff\xfe\xfd", np.uint8)), ""),
        ("config.npy", npy(np.zeros(3)), "has the header"),
        ("layer_0.coef.npy", None, "layer_0.coef.npy is missing"),
        ("layer_0.coef.npy", b"", "no array"),
        ("layer_0.coef.npy", b"\x93NUMPY\x01\x00", "has the header"),
        ("layer_0.coef.npy", npy(np.zeros((2, 3, 8), object)), "has the header"),
        ("layer_0.coef.npy", npy(np.zeros((2, 3, 8), np.float32)), "has the header"),
        ("layer_0.coef.npy", npy(np.zeros((2, 3, 8), order="F")), "has the header"),
        ("layer_0.coef.npy", npy(np.zeros((2, 8, 3))), "has the header"),
        ("layer_0.coef.npy", npy(np.zeros((2, 3, 8)))[:-8], "bytes"),
        ("layer_0.coef.npy", npy(np.zeros((2, 3, 8))) + b"\0", "bytes"),
        ("layer_0.grid.npy", npy(np.zeros((2, 12))), "`grid` must have a domain of positive length"),
        ("layer_0.grid.npy", npy(np.full((2, 12), np.nan)), "`grid` must be finite"),
        ("surprise.npy", npy(np.zeros(3)), "surprise.npy is unknown"),
        ("encoding.npy", npy(np.zeros(3)), "has the header"),
        ("encoding.npy", npy(np.frombuffer(b"{", np.uint8)), ""),
        ("encoding.npy", npy(np.frombuffer(b"[1]", np.uint8)), "encoding.npy is no JSON object"),
    ],
)
def test_a_wrong_member_is_refused(tmp_path, contents, name, content, reason):
    contents[name] = content
    write(tmp_path / "bad.npz", [item for item in contents.items() if item[1] is not None])
    assert_refused(tmp_path / "bad.npz", reason)


def test_a_member_that_is_there_twice_is_refused(tmp_path, contents):
    with pytest.warns(UserWarning, match="Duplicate name"):
        write(tmp_path / "bad.npz", [*contents.items(), ("layer_0.coef.npy", contents["layer_0.coef.npy"])])
    assert_refused(tmp_path / "bad.npz", "is there twice")


@pytest.mark.parametrize("zip64", [False, True])
def test_very_many_members_are_refused_before_they_are_read(tmp_path, monkeypatch, zip64):
    monkeypatch.setattr(zipfile, "ZIP_FILECOUNT_LIMIT", 10 if zip64 else 65_535)
    write(tmp_path / "bad.npz", ((f"{place}" * 40, b"") for place in range(10_000)))

    def read(archive):
        raise AssertionError("the members are read")

    monkeypatch.setattr(zipfile.ZipFile, "_RealGetContents", read)
    assert_refused(tmp_path / "bad.npz", "its list of members has more than")


def test_a_deeper_network_than_can_be_read_is_not_written(tmp_path, monkeypatch):
    monkeypatch.setattr(archive, "_MAX_LAYERS", 2)
    KAN([1, 1, 1], grid=1, k=0).save(tmp_path / "m.npz")
    with pytest.raises(ValueError, match="of 3 layers cannot be saved: a file holds at most 2"):
        KAN([1, 1, 1, 1], grid=1, k=0).save(tmp_path / "deep.npz")
    assert os.listdir(tmp_path) == ["m.npz"]


def test_the_deepest_network_that_is_written_can_be_read():
    name = f"layer_{archive._MAX_LAYERS - 1}.scale_base.npy"
    entry = zipfile.ZipInfo(name)
    longest = len(entry.filename) + zipfile.sizeCentralDir + 28  # with 64 bits for two sizes and a place
    assert longest * (1 + 5 * archive._MAX_LAYERS) <= archive._MAX_DIRECTORY_BYTES


def test_a_message_does_not_hold_a_long_name_of_a_member(tmp_path, contents):
    contents["layer_0.coef.npy" + "y" * 60_000] = contents.pop("layer_0.coef.npy")
    write(tmp_path / "bad.npz", contents.items())
    data = (tmp_path / "bad.npz").read_bytes()
    (tmp_path / "worse.npz").write_bytes(data.replace(b"layer_0.coef", b"layer_0.goef", 1))
    for name in ("bad.npz", "worse.npz"):
        with pytest.raises(ValueError, match=r"Argument `path` must name a model") as caught:
            KAN.load(tmp_path / name)
        assert len(str(caught.value)) < 600 + len(str(tmp_path))


def test_a_compressed_member_is_refused_before_it_grows(tmp_path, contents):
    contents["layer_0.coef.npy"] = bytes(50_000_000)
    write(tmp_path / "bad.npz", contents.items(), zipfile.ZIP_DEFLATED)
    assert_refused(tmp_path / "bad.npz", "is compressed")


def test_members_that_claim_to_be_longer_than_the_file_are_refused(tmp_path, contents):
    write(tmp_path / "bad.npz", contents.items())
    data = bytearray((tmp_path / "bad.npz").read_bytes())
    entry = data.index(b"PK\x01\x02")
    data[entry + 20 : entry + 28] = (2**32 - 2).to_bytes(4, "little") * 2
    (tmp_path / "bad.npz").write_bytes(data)
    assert_refused(tmp_path / "bad.npz", "longer than")


@pytest.mark.parametrize("content", [b"", b"PK", b"no zip at all" * 99, npy(np.zeros(3))])
def test_a_foreign_file_is_refused_in_a_whole_sentence(tmp_path, content):
    (tmp_path / "bad.npz").write_bytes(content)
    assert_refused(tmp_path / "bad.npz", r"[a-z]\.$")


def test_an_npz_of_somebody_else_is_refused(tmp_path):
    np.savez(tmp_path / "bad.npz", x=np.zeros(3))
    assert_refused(tmp_path / "bad.npz", "config.npy")


def test_a_missing_file_is_the_systems_own_error(tmp_path):
    with pytest.raises(FileNotFoundError):
        KAN.load(tmp_path / "nothing.npz")


def test_every_truncation_is_refused(tmp_path):
    KAN([1, 1], grid=1, k=0).save(tmp_path / "good.npz")
    data = (tmp_path / "good.npz").read_bytes()
    for length in range(0, len(data), 7):
        (tmp_path / "bad.npz").write_bytes(data[:length])
        with pytest.raises(ValueError, match="Argument `path` must name"):
            KAN.load(tmp_path / "bad.npz")


@given(st.data())
def test_a_flipped_byte_is_refused_or_changes_nothing(tmp_path, data):
    model = KAN([1, 2, 1], grid=2, k=1)
    model.save(tmp_path / "good.npz")
    content = bytearray((tmp_path / "good.npz").read_bytes())
    for _ in range(data.draw(st.integers(1, 3))):
        content[data.draw(st.integers(0, len(content) - 1))] ^= data.draw(st.integers(1, 255))
    (tmp_path / "bad.npz").write_bytes(content)
    try:
        again = KAN.load(tmp_path / "bad.npz")
    except ValueError:
        return
    assert state(again) == state(model)


def test_the_readers_list_of_arrays_is_the_writers():
    layer = KAN([2, 3], grid=4, k=2).act_fun[0]
    shapes = {name: getattr(layer, name).shape for name in archive._ARRAYS}
    assert archive._shapes(archive._settings(layer)) == shapes
