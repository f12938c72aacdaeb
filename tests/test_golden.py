"""Golden vectors: the files are what the script writes, each number is rounded once, and numkan reproduces them."""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Callable
from fractions import Fraction
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from numkan.conformance import golden
from numkan.conformance.adapter import Array
from numkan.layer.grid import grid_from_samples
from numkan.spline import B_batch, insert_knots
from tests import naive_network as naive
from tests.grid_cases import refit
from tests.naive_network import KINDS, Layer
from tests.network_cases import SINGLE, NumkanNetworks

PROJECT = Path(__file__).parents[1]
DATA = Path(golden.__file__).parent / "data"
VECTORS = {subject: golden.load(subject) for subject in golden.SUBJECTS}


def check(vector: golden.Vector, name: str, got: Any, dtype: str) -> None:
    error = golden.worst(vector.outputs[name], got, dtype)
    assert error <= 1, f"{vector.id}, {name}, {dtype}: {error:.3g} times the bound"


def each(subject: str, kept: Callable[[golden.Vector, str], bool] = lambda vector, dtype: True) -> list[Any]:
    return [pytest.param(v, d, id=f"{v.id}, {d}") for v in VECTORS[subject] for d in v.dtypes if kept(v, d)]


def is_compiled(vector: golden.Vector, dtype: str) -> bool:
    """Kernels of layers in float32 are compiled for some degrees only, to save time; with the JIT off for all."""
    return dtype == "float64" or vector.settings["k"] in SINGLE


def is_numkans(vector: golden.Vector, dtype: str) -> bool:
    """numkan's own flavour, and pykan's, which is the same where no knots coincide."""
    flavour = vector.settings["flavour"]
    return flavour == "numkan" or (flavour == "pykan" and "constant" not in vector.id)


# --- the files ----------------------------------------------------------------------------------------------------


@pytest.mark.jit
def test_the_files_are_what_the_script_writes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(str(PROJECT / "validation"))  # its scripts are no package
    files = import_module("golden_vectors").files()
    assert sorted(files) == sorted(path.name for path in DATA.iterdir())
    for name, data in files.items():
        assert (DATA / name).read_bytes() == data, f"run validation/golden_vectors.py: {name} is out of date"


def test_the_script_needs_no_floating_point_library() -> None:
    """Answers come from rational arithmetic: what computes them imports neither numpy nor numkan's numerics."""
    for name in ("golden_vectors", "_golden_splines", "_golden_layers", "_exact_layers"):
        text = (PROJECT / "validation" / f"{name}.py").read_text(encoding="utf-8")
        imported = [line for line in text.splitlines() if line.startswith(("import ", "from "))]
        assert not [line for line in imported if "numpy" in line or "numkan.spline" in line or "numkan.layer" in line]


def test_together_they_are_small() -> None:
    assert sum(path.stat().st_size for path in DATA.iterdir()) < 1_000_000


@pytest.mark.parametrize("subject", golden.SUBJECTS)
def test_a_changed_byte_is_noticed(subject: str) -> None:
    data = (DATA / f"{subject}.json").read_bytes()
    start = data.index(b'"sha256"')
    places = {*range(start, start + 80), *range(0, len(data), max(1, len(data) // 200)), len(data) - 1}
    for place in sorted(places):
        changed = data[:place] + bytes([data[place] ^ 1]) + data[place + 1 :]
        with pytest.raises(ValueError, match="SHA-256 checksum"):
            golden.parse(changed, f"{subject}.json")
    for other in (data[:-1], data + b"\n", data.replace(b"\n", b"\r\n"), b""):
        with pytest.raises(ValueError, match="SHA-256 checksum"):
            golden.parse(other, f"{subject}.json")


def test_another_schema_is_refused() -> None:
    text = (DATA / "basis.json").read_text(encoding="ascii")
    old = json.loads(text)["sha256"]
    newer = golden.seal(text.replace(old, 64 * "0").replace('"schema": 1', '"schema": 2'))
    with pytest.raises(ValueError, match=r"File `x\.json` must have schema 1, not 2\."):
        golden.parse(newer, "x.json")
    with pytest.raises(ValueError, match="Argument `subject` must be one of"):
        golden.load("bases")


def test_a_reader_that_knows_only_the_description_reads_the_same() -> None:
    """What the docstring says is enough: JSON, SHA-256, and hexadecimal floats."""
    for subject in golden.SUBJECTS:
        data = (DATA / f"{subject}.json").read_bytes()
        content = json.loads(data.decode("ascii"))
        blank = data.replace(content["sha256"].encode(), b"0" * 64)
        assert hashlib.sha256(blank).hexdigest() == content["sha256"]
        assert (content["format"], content["schema"], content["subject"]) == ("numkan golden vectors", 1, subject)
        for entry, vector in zip(content["vectors"], VECTORS[subject], strict=True):
            assert (entry["id"], entry["settings"]) == (vector.id, vector.settings)
            for side in ("inputs", "outputs"):
                for name, array in entry[side].items():
                    numbers = getattr(vector, side)[name]
                    assert math.prod(array["shape"]) == len(array["exact"]) == len(array["float64"])
                    assert [Fraction(text) for text in array["exact"]] == list(numbers.exact)
                    for dtype in entry["dtypes"]:
                        read = [float.fromhex(text) for text in array.get(dtype, array["float64"])]
                        assert numbers.array(dtype).ravel().tolist() == read


def test_ids_are_names() -> None:
    for vectors in VECTORS.values():
        assert len({vector.id for vector in vectors}) == len(vectors)


def test_every_flavour_of_grid_update_is_there() -> None:
    flavours = {vector.settings["flavour"] for vector in VECTORS["grid_update"]}
    assert flavours == {"numkan", "pykan", "efficient-kan", "jaxkan"}


# --- rounding -----------------------------------------------------------------------------------------------------


def neighbours(value: float, dtype: str) -> list[Fraction]:
    """The numbers of a dtype next to one of them, as fractions; 2^128 or 2^1024 beyond the largest."""
    kind = np.dtype(dtype).type
    limit = Fraction(2) ** (128 if dtype == "float32" else 1024)
    with np.errstate(over="ignore"):
        sides = [np.nextafter(kind(value), kind(end)) for end in (-np.inf, np.inf)]
    return [Fraction(float(side)) if np.isfinite(side) else math.copysign(1, side) * limit for side in sides]


def assert_nearest(value: Fraction, dtype: str, found: float) -> None:
    """No other number of the dtype is nearer, and a tie has gone to the even one."""
    kind, bits = np.dtype(dtype).type, {"float32": np.uint32, "float64": np.uint64}[dtype]
    assert float(kind(found)) == found
    error = abs(Fraction(found) - value)
    for other in neighbours(found, dtype):
        assert error <= abs(other - value)
        if error == abs(other - value):
            assert np.array(found, kind).view(bits) % 2 == 0


TIE = 1 + Fraction(1, 2**24)  # half-way between 1 and the next float32


@given(st.fractions(), st.integers(-1130, 1000), st.sampled_from(["float32", "float64"]))
@example(TIE, 0, "float32")
@example(TIE + Fraction(1, 2**60), 0, "float32")
@example(-TIE + Fraction(1, 2**60), 0, "float32")
@example(TIE + Fraction(2, 2**24) - Fraction(1, 2**70), 0, "float32")
@example(Fraction(3, 2), -149, "float32")
@example(Fraction(1, 2), -149, "float32")
@example(Fraction(1, 2) + Fraction(1, 2**70), -149, "float32")
@example(Fraction(3, 2), -1074, "float64")
def test_rounding_goes_to_the_nearest_once(mantissa: Fraction, exponent: int, dtype: str) -> None:
    value = mantissa * Fraction(2) ** (exponent // 8 if dtype == "float32" and abs(exponent) > 149 else exponent)
    found = golden.nearest(value, dtype)
    if math.isinf(found):
        largest = Fraction(float(np.finfo(dtype).max))
        assert (
            abs(value) >= largest + (largest - Fraction(float(np.nextafter(np.finfo(dtype).max, 0, dtype=dtype)))) / 2
        )
    else:
        assert_nearest(value, dtype, found)
        if dtype == "float64":
            assert found == float(value)  # Python's division of integers is correctly rounded too


@given(st.integers(2**23, 2**24 - 1), st.integers(-100, 100), st.integers(54, 200), st.sampled_from([-1, 1]))
def test_rounding_twice_would_be_noticed(whole: int, exponent: int, depth: int, side: int) -> None:
    """Next to a tie of float32, float64 lands on the tie, and then goes to the even side whatever the truth was."""
    tie, spacing = Fraction(2 * whole + 1, 2), Fraction(2) ** exponent
    value = (tie + side * Fraction(1, 2**depth)) * spacing
    once = golden.nearest(value, "float32")
    assert once == float((whole + (side > 0)) * spacing)
    twice = float(np.float32(float(value)))
    assert float(value) == float(tie * spacing)
    assert (twice == once) == ((whole + (side > 0)) % 2 == 0)


def test_overflow_and_zero() -> None:
    largest = Fraction(float(np.finfo(np.float32).max))
    half = Fraction(2) ** 103
    assert golden.nearest(largest + half - 1, "float32") == float(largest)
    assert golden.nearest(largest + half, "float32") == math.inf
    assert golden.nearest(-largest - half, "float32") == -math.inf
    assert golden.nearest(Fraction(0), "float64") == 0.0


@pytest.mark.parametrize("subject", golden.SUBJECTS)
def test_every_number_in_the_files_is_the_nearest(subject: str) -> None:
    for vector in VECTORS[subject]:
        for numbers in vector.inputs.values():
            assert all(
                Fraction(n) == e for d in vector.dtypes for n, e in zip(numbers.rounded[d], numbers.exact, strict=True)
            )
        for numbers in vector.outputs.values():
            for dtype in vector.dtypes:
                for exact, found in zip(numbers.exact, numbers.rounded[dtype], strict=True):
                    assert_nearest(exact, dtype, found)


# --- the judge ----------------------------------------------------------------------------------------------------


def test_an_error_is_measured_in_units_of_its_bound() -> None:
    vector = next(v for v in VECTORS["basis"] if v.id == "integers k=3")
    numbers = vector.outputs["basis"]
    right = numbers.array(np.float64)
    assert golden.worst(numbers, right, "float64") == 0.0
    place = tuple(np.argwhere(right > 0.1)[0])
    wrong = right.copy()
    wrong[place] *= 1 + 64 * 2.0**-53
    assert 1 < golden.worst(numbers, wrong, "float64") < 3
    wrong[place] = right[place] * (1 + 2.0**-52)
    assert 0 < golden.worst(numbers, wrong, "float64") < 0.2
    assert golden.worst(numbers, wrong, "float32") < 1e-8
    wrong[place] = np.nan
    assert golden.worst(numbers, wrong, "float64") == math.inf
    zero = tuple(np.argwhere(right == 0)[0])
    leak = right.copy()
    leak[zero] = 1e-300
    assert golden.worst(numbers, leak, "float64") > 1
    with pytest.raises(ValueError, match=r"Argument `got` must have shape"):
        golden.worst(numbers, right[:-1], "float64")
    with pytest.raises(ValueError, match="one of the vector's, not float32"):
        next(v for v in VECTORS["basis"] if v.dtypes == ("float64",)).outputs["basis"].array("float32")


def test_a_wrong_convention_is_seen() -> None:
    """Half-open right ends, derivatives without their degree, and another flavour's knots are all out of bounds."""
    for vector in VECTORS["basis"]:
        numbers, x, k = vector.outputs["basis"], vector.inputs["x"].array("float64"), vector.settings["k"]
        knots = vector.inputs["knots"].array("float64")
        right = numbers.array("float64")
        open_end = np.where((x == knots[-1 - k])[:, None], 0.0, right)
        assert (golden.worst(numbers, open_end, "float64") > 1) == (right[x == knots[-1 - k]].max() > 0)
    for vector in VECTORS["derivatives"]:
        numbers, k = vector.outputs["dbasis"], vector.settings["k"]
        right = numbers.array("float64")
        if k > 1 and vector.settings["nu"] <= k:
            assert golden.worst(numbers, right / k, "float64") > 1
    mixed = {v.settings["flavour"]: v.outputs["grid"] for v in VECTORS["grid_update"] if "k=2 G=3" in v.id}
    for flavour, numbers in mixed.items():
        for other in mixed.keys() - {flavour}:
            if {flavour, other} != {"numkan", "pykan"}:
                knots = mixed[other].array("float64")
                assert golden.worst(numbers, knots, "float64") > 1, f"{flavour} against {other}"


# --- numkan -------------------------------------------------------------------------------------------------------


def arrays(vector: golden.Vector, dtype: str) -> dict[str, Array]:
    return {name: numbers.array(dtype) for name, numbers in vector.inputs.items()}


@pytest.mark.parametrize("subject", ["basis", "derivatives"])
def test_numkan_reproduces_the_basis(subject: str) -> None:
    for vector in VECTORS[subject]:
        (name,) = vector.outputs
        for dtype in vector.dtypes:
            inputs = arrays(vector, dtype)
            found = B_batch(
                inputs["x"][:, None], inputs["knots"][None], vector.settings["k"], vector.settings.get("nu", 0)
            )
            assert found.dtype == dtype
            check(vector, name, found[:, 0], dtype)


@pytest.mark.parametrize(("vector", "dtype"), each("insertion"))
def test_numkan_reproduces_knot_insertion(vector: golden.Vector, dtype: str) -> None:
    inputs = arrays(vector, dtype)
    knots, coef = insert_knots(inputs["knots"], inputs["coef"], vector.settings["k"], inputs["new_knots"])
    assert knots.dtype == coef.dtype == dtype
    check(vector, "knots", knots, dtype)
    check(vector, "coef", coef, dtype)


@pytest.mark.parametrize(("vector", "dtype"), each("grid_update", is_numkans))
def test_numkan_reproduces_grid_updates(vector: golden.Vector, dtype: str) -> None:
    inputs, k = arrays(vector, dtype), vector.settings["k"]
    grid = grid_from_samples(inputs["x"], vector.settings["G"], k, float(inputs["grid_eps"]), dtype=dtype)
    check(vector, "grid", grid, dtype)
    if "coef" in vector.outputs:
        check(vector, "coef", refit(inputs["x"], inputs["grid"], inputs["coef"], grid, k), dtype)


def layer_in(vector: golden.Vector, inputs: dict[str, Array], prefix: str = "") -> Layer:
    settings = vector.settings
    parts = (inputs[prefix + name] for name in ("grid", *KINDS, "mask"))
    return Layer(*parts, settings["k"], settings["base_fun"], settings["extrapolate"])


@pytest.mark.parametrize(("vector", "dtype"), each("layer", is_compiled))
def test_numkan_reproduces_layers(vector: golden.Vector, dtype: str) -> None:
    inputs, numkans = arrays(vector, dtype), NumkanNetworks()
    layer = layer_in(vector, inputs)
    pulled = numkans.layer_vjp(layer, inputs["x"], inputs["y_bar"])
    found = {f"{name}_bar": pulled[name] for name in ("x", *KINDS)}
    found["y"] = numkans.layer_forward(layer, inputs["x"])
    found["dy_dx"] = numkans.network_derivative([layer], inputs["x"])
    assert sorted(found) == sorted(vector.outputs)
    for name, array in found.items():
        check(vector, name, array, dtype)


@pytest.mark.parametrize(("vector", "dtype"), each("network", is_compiled))
def test_numkan_reproduces_networks(vector: golden.Vector, dtype: str) -> None:
    inputs, numkans = arrays(vector, dtype), NumkanNetworks()
    layers = [layer_in(vector, inputs, f"{depth}.") for depth in range(vector.settings["depth"])]
    x, target = inputs["x"], inputs["target"]
    loss, grads = numkans.network_loss(layers, x, target, "mse", None)
    found: dict[str, Any] = {"loss": loss, "y": numkans.network_forward(layers, x)}
    error = 2 * (found["y"].astype(float) - target) / target.size
    found["x_grad"] = np.einsum("no,noi->ni", error, numkans.network_derivative(layers, x))
    found |= {f"{depth}.{kind}_grad": grad[kind] for depth, grad in enumerate(grads) for kind in KINDS}
    assert sorted(found) == sorted(vector.outputs)
    for name, array in found.items():
        check(vector, name, array, dtype)


# --- the slow twin: another way to the same gradients -------------------------------------------------------------


@pytest.mark.parametrize("vector", [pytest.param(v, id=v.id) for v in VECTORS["layer"]])
def test_complex_steps_reproduce_layers(vector: golden.Vector) -> None:
    """The backward pass of the exact layers agrees with derivatives that nobody had to derive."""
    inputs = arrays(vector, "float64")
    layer = layer_in(vector, inputs)
    jac, slopes = naive.network_jacobian([layer], inputs["x"])
    found = {f"{kind}_bar": np.tensordot(inputs["y_bar"], jac[0][kind], 2) for kind in KINDS}
    found["x_bar"] = np.einsum("no,noi->ni", inputs["y_bar"], slopes)
    found |= {"y": naive.forward(layer, inputs["x"]), "dy_dx": slopes}
    for name, array in found.items():
        check(vector, name, array, "float64")


@pytest.mark.parametrize("vector", [pytest.param(v, id=v.id) for v in VECTORS["network"]])
def test_complex_steps_reproduce_networks(vector: golden.Vector) -> None:
    inputs = arrays(vector, "float64")
    layers = [layer_in(vector, inputs, f"{depth}.") for depth in range(vector.settings["depth"])]
    y = naive.network_forward(layers, inputs["x"])
    error = naive.loss_slope(y, inputs["target"], "mse")
    jac, slopes = naive.network_jacobian(layers, inputs["x"])
    found = {"y": y, "loss": naive.mse(y, inputs["target"]), "x_grad": np.einsum("no,noi->ni", error, slopes)}
    for depth, by in enumerate(jac):
        found |= {f"{depth}.{kind}_grad": np.tensordot(error, by[kind], 2) for kind in KINDS}
    for name, array in found.items():
        check(vector, name, array, "float64")
