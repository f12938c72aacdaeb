"""What a kernel of gradients is asked for before and after it goes through samples."""

from __future__ import annotations

#: Fill packed edges, and clear the gradient by them; turn that into the gradient by the parameters.
PACK, UNPACK = 1, 2
