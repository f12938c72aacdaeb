"""Imports inside numkan run one way: from the top tier down, and never in a circle."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

import numkan

PACKAGE = Path(numkan.__file__).parent

#: The tier of each top-level module or subpackage; what is not listed breaks the test until it is placed.
#: Files with a leading underscore are tier 0.
TIERS = {
    "base": 0,
    "compile": 0,
    "data": 0,
    "simd": 0,
    "spline": 1,
    "layer": 2,
    "model": 3,
    "optimize": 3,
    "train": 4,
    "__main__": 10,
    "additive": 5,
    "conformance": 5,
    "export": 5,
    "interaction": 5,
    "interop": 5,
    "io": 5,
    "pde": 5,
    "plot": 5,
    "kan": 6,  # the class that gathers network, training and files
    "search": 7,  # makes KANs
    "sklearn": 7,
    "symbolic": 8,  # searches for networks and asks them
    "cli": 9,  # numkan/__init__ stands above it
}


def module_name(path: Path, package: Path) -> str:
    parts = path.relative_to(package.parent).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def imports(path: Path, package: Path, modules: set[str]) -> set[str]:
    """Modules of the package that a file imports, wherever in the file; `if TYPE_CHECKING` counts too."""
    name = module_name(path, package)
    here = name if path.name == "__init__.py" else name.rpartition(".")[0]
    found = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            parents = here.split(".")
            base = ".".join(parents[: len(parents) - node.level + 1]) if node.level else ""
            target = ".".join(part for part in (base, node.module) if part)
            found |= {
                f"{target}.{alias.name}" if f"{target}.{alias.name}" in modules else target for alias in node.names
            }
    return {target for target in found if target.split(".")[0] == package.name and target != name}


def graph(package: Path) -> dict[str, set[str]]:
    paths = {module_name(path, package): path for path in sorted(package.rglob("*.py"))}
    return {name: imports(path, package, set(paths)) for name, path in paths.items()}


def part(module: str) -> str:
    """The top-level module or subpackage that a module belongs to ("" for the package itself)."""
    return [*module.split("."), ""][1]


def tier(name: str) -> int:
    return 0 if name.startswith("_") and name != "__main__" else TIERS[name]


def upward_imports(edges: dict[str, set[str]]) -> list[str]:
    """Each import that breaks a rule, as "importer -> imported"."""
    bad = []
    for importer, targets in edges.items():
        own = part(importer)
        for target in sorted(targets):
            other = part(target)
            if not own:
                continue  # the package itself gathers everything
            if not other:
                allowed = target not in edges or tier(own) >= 5  # only the top may ask the package as a whole
            elif own == "optimize":
                allowed = other == own or tier(other) == 0
            else:
                allowed = tier(other) < tier(own) or other == own or tier(own) == tier(other) == 0
            if not allowed:
                bad.append(f"{importer} -> {target}")
    return bad


def circle(edges: dict[str, set[str]]) -> list[str]:
    """One circle of imports, or nothing. A subpackage's own __init__ gathers its files, and is left out."""
    state: dict[str, int] = {}

    def visit(module: str, path: list[str]) -> list[str]:
        if state.get(module) == 2:
            return []
        if module in path:
            return [*path[path.index(module) :], module]
        for target in sorted(edges.get(module, set())):
            gathers = module.startswith(target + ".")
            found = [] if gathers else visit(target, [*path, module])
            if found:
                return found
        state[module] = 2
        return []

    return next((found for module in sorted(edges) if (found := visit(module, []))), [])


def test_every_module_has_a_tier() -> None:
    for name in {part(module) for module in graph(PACKAGE)} - {""}:
        assert 0 <= tier(name) <= 10


def test_no_import_runs_upward() -> None:
    assert upward_imports(graph(PACKAGE)) == []


def test_no_imports_in_a_circle() -> None:
    assert circle(graph(PACKAGE)) == []


def write(package: Path, files: dict[str, str]) -> None:
    for name, text in files.items():
        path = package / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")


@pytest.mark.parametrize(
    ("name", "text", "edge"),
    [
        ("spline/basis.py", "from numkan.layer import layer", "numkan.spline.basis -> numkan.layer.layer"),
        ("spline/basis.py", "def f():\n    import numkan.layer.layer", "numkan.spline.basis -> numkan.layer.layer"),
        ("spline/basis.py", "from ..layer.layer import f", "numkan.spline.basis -> numkan.layer.layer"),
        ("_check.py", "from numkan.spline.basis import f", "numkan._check -> numkan.spline.basis"),
        ("optimize/adam.py", "from numkan.spline import basis", "numkan.optimize.adam -> numkan.spline.basis"),
        ("model/kan.py", "from numkan import optimize", "numkan.model.kan -> numkan.optimize"),
        ("layer/layer.py", "import numkan", "numkan.layer.layer -> numkan"),
    ],
)
def test_a_planted_upward_import_is_found(tmp_path: Path, name: str, text: str, edge: str) -> None:
    package = tmp_path / "numkan"
    clean = {
        "__init__.py": "from numkan.model.kan import g",
        "_check.py": "",
        "_jit.py": "from numkan import _check",
        "spline/__init__.py": "from numkan.spline.basis import f",
        "spline/basis.py": "import numpy\nfrom numkan._check import c",
        "layer/__init__.py": "",
        "layer/layer.py": "from numkan.spline import basis",
        "model/kan.py": "from ..layer import layer",
        "optimize/__init__.py": "",
        "optimize/adam.py": "from numkan._check import c",
        "io.py": "import numkan",
    }
    write(package, clean)
    assert upward_imports(graph(package)) == []
    assert circle(graph(package)) == []
    write(package, {name: text})
    assert upward_imports(graph(package)) == [edge]


def test_a_planted_circle_is_found(tmp_path: Path) -> None:
    package = tmp_path / "numkan"
    write(package, {"__init__.py": "", "_check.py": "import numkan._jit", "_jit.py": "import numkan._check"})
    assert circle(graph(package)) == ["numkan._check", "numkan._jit", "numkan._check"]
