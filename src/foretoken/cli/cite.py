"""`foretoken cite`: what to cite for a law or for published coefficients."""

from __future__ import annotations

from typing import Annotated

import typer

from foretoken.cli.options import JsonOption
from foretoken.cli.printing import print_json, print_text


def cite(
    name: Annotated[str, typer.Argument(metavar="NAME", help="A law or a published id, as `foretoken laws` lists.")],
    json: JsonOption = False,
) -> None:
    """Print the source of a law or of published coefficients, as text and as BibTeX.

    Example: foretoken cite besiroglu_2024
    """
    from foretoken.laws.cite import cite as citation_of

    citation = citation_of(name)
    if json:
        print_json({"name": name, "text": citation.text, "bibtex": citation.bibtex})
    else:
        print_text(str(citation))
