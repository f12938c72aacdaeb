"""The findings of every peer."""

from __future__ import annotations

from _finding import Finding
from _findings_efficient_kan import EFFICIENT_KAN
from _findings_jaxkan import JAXKAN
from _findings_pykan import PYKAN
from _findings_scipy import SCIPY
from _findings_uniform import FLASHKAN, INKAN

FINDINGS: dict[str, tuple[Finding, ...]] = {
    "pykan": PYKAN,
    "efficient-kan": EFFICIENT_KAN,
    "jaxkan": JAXKAN,
    "inkan": INKAN,
    "flashkan": FLASHKAN,
    "scipy": SCIPY,
}
