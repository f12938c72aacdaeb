"""The measurements of `benchmark.py`, in the file speed.json, from which all documents are made.

A part of the file, "peers" or "scaling", holds lists of flat records, and under "about" the host and the date. Hosts
with vectors shorter than 512 bits have parts of their own, such as "peers 256". Times are in seconds. In "peers":
"times" (threads, workload, dtype, contender), "speedups" (numkan's own, threads over one), "rates" (of the machine, one
thread: "flops" and "bytes" a second) and "absent" (contenders that were left out, and why). In "scaling": "sweeps" and
"memory" (bytes).
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

FILE = Path(__file__).with_name("speed.json")
COLUMNS = ("forward", "both")
TITLES = {"forward": "fwd", "both": "fwd+bwd"}

WIDEST = "512"  # bits of a vector

Record = dict[str, Any]
Times = dict[str, dict[str, float]]  # contender -> column -> seconds


def cases(times: list[Record], threads: int) -> dict[tuple[str, str], Times]:
    """Gather the times of one number of threads by workload and dtype."""
    found: dict[tuple[str, str], Times] = {}
    for r in times:
        if r["threads"] == threads:
            case = found.setdefault((r["workload"], r["dtype"]), {})
            case[r["contender"]] = {column: r[column] for column in COLUMNS if column in r}
    return found


def own(times: Times, column: str) -> float:
    """Return numkan's time; for single rows that of its predictor `frozen()`."""
    return times.get("numkan frozen", {}).get(column, times["numkan"][column])


def fastest_peer(times: Times, column: str) -> tuple[str, float] | None:
    """Return the name of the fastest peer and its time over numkan's; None if no peer was there."""
    peers = {name: t[column] for name, t in times.items() if column in t and not name.startswith("numkan")}
    if not peers:
        return None
    name = min(peers, key=peers.__getitem__)
    return name, peers[name] / own(times, column)


def part_name(name: str, about: dict[str, str]) -> str:
    """Return the name of the part for what was measured on a host."""
    return name if about["vectors"] == WIDEST else f"{name} {about['vectors']}"


def load(path: Path = FILE) -> dict[str, Any]:
    """Read the file; empty if there is none yet."""
    data: dict[str, Any] = json.loads(path.read_text(encoding="utf-8")) if path.exists() else {}
    return data


def save(data: dict[str, Any], path: Path = FILE) -> None:
    """Write the file, a record a line."""
    parts = []
    for name, part in data.items():
        lists = [f'"{key}": {_lines(value)}' for key, value in part.items()]
        parts.append(f'"{name}": {{\n' + ",\n".join(lists) + "\n}")
    path.write_text("{\n" + ",\n".join(parts) + "\n}\n", encoding="utf-8")


def _lines(value: Any) -> str:
    if not isinstance(value, list):
        return json.dumps(value)
    return "[\n" + ",\n".join(json.dumps(_short(record)) for record in value) + "\n]"


def _short(record: Record) -> Record:
    """Four digits: more are noise."""
    return {key: float(f"{v:.4g}") if isinstance(v, float) else v for key, v in record.items()}
