"""The steps that a kernel of gradients is asked for: fill packed edges, add to the gradient by them, turn it back."""

from __future__ import annotations

PACK, ADD, UNPACK = 1, 2, 4
