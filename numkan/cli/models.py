"""Model files, with the encoding of their tables."""

from __future__ import annotations

from numkan import KAN
from numkan._shown import shortened
from numkan.cli.encoding import Encoding
from numkan.cli.errors import CommandError

__all__ = ["load_model"]


def load_model(path: str) -> tuple[KAN, Encoding | None]:
    """Return a model, and its encoding where it was fitted to a table."""
    model = KAN.load(path)
    if model._encoding is None:
        return model, None
    try:
        encoding = Encoding.from_json(model._encoding)
    except (ArithmeticError, LookupError, TypeError, ValueError) as error:
        raise CommandError(f"{path} has an encoding that cannot be read: {shortened(str(error))}") from None
    shape = len(encoding.inputs), len(encoding.outputs)
    if shape != (model.n_in, model.n_out):
        raise CommandError(f"{path} has an encoding of {shape} inputs and outputs, not of {(model.n_in, model.n_out)}.")
    return model, encoding
