"""`foretoken laws`: the laws, and what papers published for them."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated, Any

import typer

from foretoken.cli.options import HtmlOption, JsonOption, print_json, write_page
from foretoken.errors import ForetokenError

if TYPE_CHECKING:
    from foretoken.laws import Law, Published


def laws(
    words: Annotated[list[str] | None, typer.Argument(metavar="[show NAME]", help="A law or a published id.")] = None,
    html: HtmlOption = None,
    json: JsonOption = False,
) -> None:
    """List the laws and the published coefficients, or show all of one: its formula, units, values, and what to watch.

    The page of --html compares how the published laws split compute.

    Example: foretoken laws show hoffmann_2022_tex
    """
    names = [word for word in words or () if word != "show"]
    if len(names) > 1 or (words and not names):
        raise ForetokenError(
            "one law or published id at a time", got=" ".join(words or ()), cure="foretoken laws show NAME"
        )
    told = everything() if not names else one(names[0])
    if html is not None:
        from foretoken.laws import PUBLISHED

        write_page(html, PUBLISHED)
    if json:
        print_json(told)
    elif names:
        typer.echo("\n".join(page(told)))
    else:
        typer.echo("\n".join(listing(told)))


def everything() -> dict[str, Any]:
    """Every law and every published id, in brief."""
    from foretoken.laws import LAWS, PUBLISHED

    brief = ("name", "formula", "predicts", "features", "source")
    return {
        "laws": [{key: value for key, value in describe(law).items() if key in brief} for law in LAWS.values()],
        "published": [
            {"id": name, "law": one.law, "status": one.status, "source": one.source} for name, one in PUBLISHED.items()
        ],
    }


def one(name: str) -> dict[str, Any]:
    """All there is to say of a law, or of a published id (with its law under `of`)."""
    from foretoken.laws import LAWS, PUBLISHED
    from foretoken.laws.cite import unknown

    if name in LAWS:
        return describe(LAWS[name]) | {"published": [key for key, entry in PUBLISHED.items() if entry.law == name]}
    if name in PUBLISHED:
        return {"id": name, **published(PUBLISHED[name]), "of": describe(LAWS[PUBLISHED[name].law])}
    raise unknown(name, [*PUBLISHED, *LAWS])


def describe(law: Law) -> dict[str, Any]:
    """A law as plain values."""
    from foretoken.laws import FEATURES

    return {
        "name": law.name,
        "formula": law.formula,
        "predicts": {"column": law.column, "unit": law.unit},
        "features": {name: FEATURES[name]._asdict() for name in law.features},
        "parameters": dict(zip(law.parameters, law.units, strict=True)),
        "either_sign": list(law.signed),
        "fitted_to": "the logarithm" if law.target == "log" else "the value itself",
        "best_split": "closed form" if law.optimum else None,
        "assumed_by_forecasts": law.prior_text,
        "domain": law.domain,
        "source": law.citation,
    }


def published(entry: Published) -> dict[str, Any]:
    """A published fit as plain values, empty ones left out."""
    return {name: value for name, value in asdict(entry).items() if value}


def listing(told: dict[str, Any]) -> list[str]:
    """The table of laws, then the table of published ids."""
    lines = ["laws", ""]
    for law in told["laws"]:
        lines += [f"{law['name']:28}{law['formula']}"]
        lines += [f"{'':28}{law['predicts']['column']} from {', '.join(law['features'])}; {law['source']}"]
    lines += ["", "published coefficients", ""]
    lines += [f"{entry['id']:38}{entry['law']:28}{entry['source']}" for entry in told["published"]]
    return [*lines, "", "more: foretoken laws show NAME, foretoken cite NAME"]


def page(told: dict[str, Any]) -> list[str]:
    """All of one, for people: a line per fact, warnings last."""
    if "id" not in told:
        return [*_lines(told), f"\nmore: docs/laws, foretoken cite {told['name']}"]
    law, careful = told["of"], told.get("careful", ())
    rest = {key: value for key, value in told.items() if key not in ("of", "careful", "work", "table")}
    lines = _lines({"id": rest.pop("id"), "formula": law["formula"], **rest})
    for row in told.get("table", ()):
        lines.append(f"{'printed':22}N {row['params']:.4g}, {row['flops']:.4g} FLOP, {row['tokens']:.4g} tokens")
    return [*lines, *(f"{'careful':22}{warning}" for warning in careful), f"\nmore: foretoken cite {told['id']}"]


def _lines(facts: dict[str, Any]) -> list[str]:
    """One line per fact, one per entry where a fact has several."""
    lines: list[str] = []
    for key, value in facts.items():
        label = key.replace("_", " ")
        if isinstance(value, dict):
            lines += [f"{label:22}{name:16}{_text(entry)}" for name, entry in value.items()]
        elif value not in (None, [], ()):
            lines.append(f"{label:22}{_text(value)}")
    return lines


def _text(value: Any) -> str:
    if isinstance(value, dict):
        return ", ".join(str(part) for part in value.values() if part)
    if isinstance(value, list | tuple):
        return ", ".join(map(str, value))
    return repr(value) if isinstance(value, float) else str(value)
