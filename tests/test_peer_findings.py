"""What is said of other libraries: each finding has a library, laws and words, and FINDINGS.md is made of them."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from numkan.conformance import LAWS

VALIDATION = Path(__file__).parents[1] / "validation"
sys.path.insert(0, str(VALIDATION))  # its scripts are no package

from _finding import Finding  # noqa: E402
from _peer_adapters import GROUPS, PEERS  # noqa: E402
from _peer_findings import FINDINGS  # noqa: E402
from conformance_peers import DOCUMENT, PARAGRAPHS, TITLES, paragraphs  # noqa: E402

EACH = [pytest.param(finding, id=f"{name}: {finding.title}") for name, some in FINDINGS.items() for finding in some]


def test_every_peer_has_findings_and_a_group() -> None:
    assert list(FINDINGS) == list(PEERS)
    assert [name for peers, _ in GROUPS.values() for name in peers] == list(PEERS)
    assert list(TITLES) == list(GROUPS)


@pytest.mark.parametrize("finding", EACH)
def test_a_finding_names_laws_and_lines_that_are_no_more_than_a_few(finding: Finding) -> None:
    assert set(finding.laws) <= set(LAWS)
    assert len(finding.snippet.strip().splitlines()) <= 8
    compile(finding.snippet, "snippet", "exec")


def test_the_paragraphs_are_those_of_the_findings() -> None:
    assert PARAGRAPHS.read_text(encoding="utf-8") == paragraphs()


def test_the_document_shows_every_finding() -> None:
    text = DOCUMENT.read_text(encoding="utf-8")
    for name, findings in FINDINGS.items():
        for number, finding in enumerate(findings, 1):
            assert f"**{name} [{number}] {finding.title}.**" in text
