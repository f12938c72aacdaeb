"""Formulas as MathML, which browsers show by themselves: no script, no font, no picture.

Docutils converts LaTeX; Sphinx has no renderer that uses it. A formula that cannot be converted is a warning, and so
an error of the build.
"""

from typing import Any

from docutils import nodes
from docutils.utils.math import MathError, latex2mathml
from sphinx.util import logging

_logger = logging.getLogger(__name__)


def _mathml(text: str, node: nodes.Element, *, as_block: bool) -> str:
    try:
        return latex2mathml.tex2mathml(text, as_block=as_block)
    except MathError as error:
        _logger.warning("no MathML of %r: %s", text, error, location=node)
        return ""


def _visit_inline(self: Any, node: nodes.Element) -> None:
    self.body.append(_mathml(node.astext(), node, as_block=False))
    raise nodes.SkipNode


def _visit_block(self: Any, node: nodes.Element) -> None:
    text = node.astext()
    if r"\\" in text and r"\begin" not in text:  # as Sphinx's other renderers do
        text = rf"\begin{{aligned}}{text}\end{{aligned}}"
    self.body.append(f'<div class="math">{_mathml(text, node, as_block=True)}</div>\n')
    raise nodes.SkipNode


def setup(app: Any) -> dict[str, Any]:
    """Register the renderer under the name ``mathml``."""
    app.add_html_math_renderer("mathml", (_visit_inline, None), (_visit_block, None))
    return {"parallel_read_safe": True, "parallel_write_safe": True}
