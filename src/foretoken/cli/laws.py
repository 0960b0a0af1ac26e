"""`foretoken laws`: the laws, and what papers published for them."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated, Any

import typer

from foretoken.cli.options import HtmlOption, JsonOption
from foretoken.cli.printing import print_json, print_text, write_page
from foretoken.errors import ForetokenError

if TYPE_CHECKING:
    from foretoken.laws import Law, Published

BRIEF = ("name", "formula", "predicts", "features", "source")
"""Keys of a law in the list of all laws."""
LABEL = 22
"""Characters of the label in front of a fact."""


def laws(
    words: Annotated[list[str] | None, typer.Argument(metavar="[show NAME]", help="A law or a published id.")] = None,
    html: HtmlOption = None,
    json: JsonOption = False,
) -> None:
    """List the laws and the published coefficients, or show one in full: formula, units, values, and what to beware of.

    The page of --html compares how the published laws split compute.

    Example: foretoken laws show hoffmann_2022_tex
    """
    names = [word for word in words or () if word != "show"]
    if len(names) > 1 or (words and not names):
        raise ForetokenError(
            "one law or published id at a time", got=" ".join(words or ()), cure="foretoken laws show NAME"
        )
    if html is not None:
        from foretoken.laws import PUBLISHED

        write_page(html, PUBLISHED)
    name = names[0] if names else None
    if json:
        print_json(list_json() if name is None else entry_json(name))
    else:
        print_text("\n".join(list_lines() if name is None else entry_lines(name)))


def list_json() -> dict[str, Any]:
    """Every law and every published id, in brief."""
    from foretoken.laws import LAWS, PUBLISHED

    return {
        "laws": [{key: value for key, value in law_json(law).items() if key in BRIEF} for law in LAWS.values()],
        "published": [
            {"id": name, "law": entry.law, "status": entry.status, "source": entry.source}
            for name, entry in PUBLISHED.items()
        ],
    }


def entry_json(name: str) -> dict[str, Any]:
    """A law, or a published id with its law under `of`. Raises ForetokenError for an unknown name."""
    from foretoken.laws import LAWS, PUBLISHED
    from foretoken.laws.cite import unknown

    if name in LAWS:
        return law_json(LAWS[name]) | {"published": [key for key, entry in PUBLISHED.items() if entry.law == name]}
    if name in PUBLISHED:
        return {"id": name, **published_json(PUBLISHED[name]), "of": law_json(LAWS[PUBLISHED[name].law])}
    raise unknown(name, [*PUBLISHED, *LAWS])


def law_json(law: Law) -> dict[str, Any]:
    """A law as plain values."""
    from foretoken.laws import FEATURES

    return {
        "name": law.name,
        "formula": law.formula,
        "predicts": {"column": law.column, "unit": law.unit},
        "features": {name: FEATURES[name]._asdict() for name in law.features},
        "parameters": dict(zip(law.parameters, law.units, strict=True)),
        "either_sign": list(law.signed),
        "fitted_to": "the logarithm" if law.is_logarithmic else "the value itself",
        "best_split": "closed form" if law.optimum else None,
        "assumed_by_forecasts": law.prior_text,
        "domain": law.domain,
        "source": law.citation,
    }


def published_json(entry: Published) -> dict[str, Any]:
    """A published fit as plain values, empty ones left out."""
    return {name: value for name, value in asdict(entry).items() if value}


def list_lines() -> list[str]:
    """The laws, each with what it predicts from what, then the published ids."""
    from foretoken.laws import LAWS, PUBLISHED

    lines = ["laws", ""]
    for law in LAWS.values():
        lines += [f"{law.name:28}{law.formula}"]
        lines += [f"{'':28}{law.column} from {', '.join(law.features)}; {law.citation}"]
    lines += ["", "published coefficients", ""]
    lines += [f"{name:38}{entry.law:28}{entry.source}" for name, entry in PUBLISHED.items()]
    return [*lines, "", "more: foretoken laws show NAME, foretoken cite NAME"]


def entry_lines(name: str) -> list[str]:
    """One law or published id for people: a line per fact, warnings last."""
    from foretoken.laws import LAWS, PUBLISHED

    facts_json = entry_json(name)
    if name in LAWS:
        return [*_fact_lines(facts_json), f"\nmore: foretoken cite {name}"]
    entry = PUBLISHED[name]
    first = {"id": name, "formula": LAWS[entry.law].formula}
    rest = {key: value for key, value in facts_json.items() if key not in ("of", "careful", "work", "table")}
    lines = _fact_lines(first | rest)
    for row in entry.table:
        lines.append(f"{'printed':{LABEL}}N {row['params']:.4g}, {row['flops']:.4g} FLOP, {row['tokens']:.4g} tokens")
    lines += [f"{'careful':{LABEL}}{warning}" for warning in entry.careful]
    return [*lines, f"\nmore: foretoken cite {name}"]


def _fact_lines(facts: dict[str, Any]) -> list[str]:
    """One line per fact, one per entry where a fact has several."""
    lines: list[str] = []
    for key, value in facts.items():
        label = key.replace("_", " ")
        if isinstance(value, dict):
            lines += [f"{label:{LABEL}}{name:16}{_text(entry)}" for name, entry in value.items()]
        elif value not in (None, [], ()):
            lines.append(f"{label:{LABEL}}{_text(value)}")
    return lines


def _text(value: Any) -> str:
    if isinstance(value, dict):
        return ", ".join(str(part) for part in value.values() if part)
    if isinstance(value, list | tuple):
        return ", ".join(map(str, value))
    return repr(value) if isinstance(value, float) else str(value)
