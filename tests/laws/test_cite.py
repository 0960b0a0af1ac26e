from __future__ import annotations

import pytest

from foretoken.errors import ForetokenError
from foretoken.laws import LAWS, PUBLISHED, cite
from foretoken.laws.cite import of_law, works


@pytest.mark.parametrize("name", [*LAWS, *PUBLISHED])
def test_every_law_and_every_published_id_can_be_cited(name: str) -> None:
    citation = cite(name)
    assert "arXiv:" in citation.text
    assert citation.bibtex.startswith("@misc{")
    assert str(citation) == f"{citation.text}\n\n{citation.bibtex}"


def test_published_coefficients_are_cited_with_their_place_in_the_paper() -> None:
    entry = PUBLISHED["besiroglu_2024"]
    assert cite("besiroglu_2024").text.splitlines()[1] == entry.source


def test_a_law_behind_two_papers_cites_both() -> None:
    assert len(of_law(LAWS["size_error"].citation)) == 2


@pytest.mark.parametrize(
    "citation", ["Nobody 2030, arXiv 2901.00001", "a note on a wall", "arXiv 2203.15556 and arXiv 2901.00001"]
)
def test_a_law_whose_paper_is_not_known_is_refused_with_what_to_add(citation: str) -> None:
    with pytest.raises(ForetokenError, match=r"works\.toml") as refusal:
        of_law(citation)
    assert refusal.value.code == "no_such_work"


def test_an_unknown_name_shows_the_nearest() -> None:
    with pytest.raises(ForetokenError, match="chinchilla"):
        cite("chinchila")
    with pytest.raises(ForetokenError, match="foretoken laws"):
        cite("qqqq")


def test_authors_are_shortened_as_in_a_text() -> None:
    texts = {key: work.text for key, work in works().items()}
    assert texts["kaplan_2020"].startswith("Kaplan et al. (2020).")
    assert all(f"({work.year})" in work.text for work in works().values())
