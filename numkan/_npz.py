"""Plain ``.npz`` files: zips of uncompressed ``.npy`` members, which are read without trust.

Members are sorted and have a fixed date, so the same arrays make the same bytes. The reader compares names, dtypes,
shapes and sizes with each other and with the size of the file before it makes any array.
"""

from __future__ import annotations

import io
import math
import os
import zipfile
from collections.abc import Mapping
from typing import IO, Any

import numpy as np

from numkan._shown import shortened, shown

__all__ = ["BROKEN", "check_directory", "check_path", "members_of", "read_array", "reason", "write_members"]

#: The earliest date that a zip can hold, in every file, so that saving twice gives the same bytes.
_DATE = (1980, 1, 1, 0, 0, 0)

#: Errors of zipfile, json and the checks when a file is broken or comes from another program.
BROKEN: tuple[type[Exception], ...] = (
    zipfile.BadZipFile,
    ArithmeticError,
    EOFError,
    LookupError,
    MemoryError,
    OSError,
    RuntimeError,  # an encrypted member, a compression that is not built in, JSON that is nested too deeply
    TypeError,
    ValueError,
)

#: Largest size in bytes of a member without a given shape, which holds JSON.
_MAX_TEXT_BYTES = 1 << 24

#: Characters of an error message about a file, whose names may have 65,535 characters.
_MAX_REASON_CHARS = 300

_MAGIC = b"\x93NUMPY\x01\x00"  # how a .npy of format 1.0 begins


def check_path(path: object, name: str = "path") -> str | os.PathLike[str]:
    """Return a path, and refuse a number: `open` would take it for a file descriptor, and close that."""
    if not isinstance(path, str | os.PathLike):
        raise TypeError(f"Argument `{name}` must be a str or a path, not {shown(path)}.")
    if "\0" in os.fsdecode(path):
        raise ValueError(f"Argument `{name}` must be a path without zero bytes, not {shown(path)}.")
    return path


def reason(error: Exception) -> str:
    """Return the fault of a file, in a sentence or two; those of zipfile have no full stop."""
    text = shortened(str(error), _MAX_REASON_CHARS)
    return text if text.endswith(".") else f"{text}."


def write_members(file: IO[bytes], members: Mapping[str, Any]) -> None:
    """Write little-endian arrays in C order, by name."""
    with zipfile.ZipFile(file, "w", zipfile.ZIP_STORED) as archive:
        for name, array in sorted(members.items()):
            info = zipfile.ZipInfo(f"{name}.npy", _DATE)
            info.create_system = 3  # the same bytes on every system
            info.external_attr = 0o644 << 16
            content = io.BytesIO()
            np.lib.format.write_array(content, array, version=(1, 0), allow_pickle=False)
            archive.writestr(info, content.getbuffer())


def check_directory(file: IO[bytes], longest: int) -> None:
    """Refuse a zip of very many members before they are read: 300,000 empty ones took 10 s and 290 MB."""
    end: list[Any] | None = zipfile._EndRecData(file)  # type: ignore[attr-defined]  # as ZipFile reads it
    if end is not None and end[zipfile._ECD_SIZE] > longest:  # type: ignore[attr-defined]
        raise ValueError(f"its list of members has more than {longest} bytes.")


def members_of(archive: zipfile.ZipFile, file_size: int) -> dict[str, zipfile.ZipInfo]:
    """Return the members by name, after checks that none is compressed, or longer than the file."""
    index: dict[str, zipfile.ZipInfo] = {}
    for info in archive.infolist():
        if info.filename in index:
            raise ValueError(f"member {info.filename} is there twice.")
        if info.compress_type != zipfile.ZIP_STORED or info.compress_size != info.file_size:
            raise ValueError(f"member {info.filename} is compressed.")
        index[info.filename] = info
    if sum(info.file_size for info in index.values()) > file_size:
        raise ValueError(f"its members are longer than the {file_size} bytes of the file.")
    return index


def read_array(
    archive: zipfile.ZipFile, info: zipfile.ZipInfo, dtype: np.dtype[Any], shape: tuple[int, ...] | None
) -> Any:
    """Return a member as an array of exactly this dtype and shape; without a shape, of any number of bytes."""
    little = dtype.newbyteorder("<")
    with archive.open(info) as stream:
        if stream.read(len(_MAGIC)) != _MAGIC:
            raise ValueError(f"member {info.filename} is no array of .npy format 1.0.")
        header = stream.read(int.from_bytes(stream.read(2), "little")).decode("latin1").strip()
        n_bytes = info.file_size - stream.tell()
        if shape is None:
            shape = (min(n_bytes, _MAX_TEXT_BYTES),)
        expected = f"{{'descr': {little.str!r}, 'fortran_order': False, 'shape': {shape}, }}"  # as numpy writes it
        if header != expected:
            raise ValueError(f"member {info.filename} has the header {header[:200]!r}, not {expected!r}.")
        if n_bytes != math.prod(shape) * little.itemsize:
            raise ValueError(f"member {info.filename} has {n_bytes} bytes, not those of shape {shape}.")
        return np.frombuffer(stream.read(), little).reshape(shape)
