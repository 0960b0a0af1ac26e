"""`foretoken models`: published models with sizes, text, compute, hardware and prices; printed scores; abilities."""

from __future__ import annotations

from dataclasses import asdict
from typing import Annotated, Any

import typer

from foretoken.cli.options import JsonOption
from foretoken.cli.printing import print_json, print_text, table_lines
from foretoken.errors import ForetokenError

WEIGHT_BYTES = {"fp32": 4.0, "bf16": 2.0, "int8": 1.0}
"""Bytes of one weight, by the precisions that models are kept in."""


def models(
    name: Annotated[str | None, typer.Argument(metavar="[NAME]", help="A model or a printed table, by its id.")] = None,
    abilities: Annotated[
        bool, typer.Option("--abilities", help="Abilities that were reported to emerge, by training FLOP.")
    ] = False,
    json: JsonOption = False,
) -> None:
    """List published models and printed tables of scores, or show one in full, a model with its parameters by group.

    Example: foretoken models llama_65b
    """
    if name is not None and abilities:
        raise ForetokenError("a list of abilities is of no one model", got=name, cure="leave out the name")
    values = abilities_json() if abilities else list_json() if name is None else entry_json(name)
    lines = abilities_lines if abilities else list_lines if name is None else entry_lines
    if json:
        print_json(values)
    else:
        print_text("\n".join(lines(values)))


def list_json() -> dict[str, Any]:
    """Every model and every printed table, in brief."""
    from foretoken.compute.benchmarks import BENCHMARKS
    from foretoken.compute.models import MODELS

    return {
        "models": [
            {
                "id": model.id,
                "name": model.name,
                "date": model.date,
                "params": model.params,
                "tokens": model.tokens,
                "text_gb": model.text_gb,
                "accelerator_days": model.accelerator_days,
                "flops": model.compute,
                "flops_source": model.compute_source,
                "status": model.status,
            }
            for model in MODELS.values()
        ],
        "benchmarks": [
            {"id": table.id, "title": table.title, "rows": len(table.rows), "status": table.status}
            for table in BENCHMARKS.values()
        ],
    }


def entry_json(name: str) -> dict[str, Any]:
    """A model with all that is known of it, or a printed table score by score."""
    from foretoken.compute.benchmarks import BENCHMARKS
    from foretoken.compute.carbon import carbon_equivalents
    from foretoken.compute.flops import matmul, six_n_active
    from foretoken.compute.models import MODELS
    from foretoken.compute.parameters import count_parameters

    if name in BENCHMARKS:
        table = BENCHMARKS[name]
        brief = {"id": name, "title": table.title, "source": table.source, "status": table.status}
        return brief | {"careful": list(table.careful), "scores": [score.to_json() for score in table.scores()]}
    model = MODELS.find(name)
    values: dict[str, Any] = {key: value for key, value in asdict(model).items() if key != "shape"}
    values |= {"flops": model.compute, "flops_source": model.compute_source, "shape": None, "counted": None}
    values["accelerator_days"] = model.accelerator_days
    values["equivalents"] = None if model.tco2e is None else asdict(carbon_equivalents(model.tco2e))
    values["weight_bytes"] = {precision: model.params * each for precision, each in WEIGHT_BYTES.items()}
    if model.shape is not None:
        count = count_parameters(model.shape)
        per_token = {"matmul": matmul(model.shape)}
        per_token |= {"6nd_active": six_n_active(model.shape)} if model.shape.family_record.plain_transformer else {}
        values["shape"] = model.shape.to_json()
        values["counted"] = asdict(count) | {
            "total": count.total,
            "non_embedding": count.non_embedding,
            "active": count.active,
            "flops_per_token": per_token,
        }
    values["scores"] = [
        {"table": table.id, **score.to_json()}
        for table in BENCHMARKS.values()
        for score in table.scores()
        if score.model == name
    ]
    return values


def list_lines(lists_json: dict[str, Any]) -> list[str]:
    """The models, then the printed tables of scores."""
    rows = [
        (
            row["id"],
            row["date"],
            row["status"],
            _count(row["params"]),
            _count(row["tokens"]),
            "-" if row["text_gb"] is None else f"{row['text_gb']:,.0f}",
            "-" if row["flops"] is None else f"{row['flops']:.2e}",
            "-" if row["accelerator_days"] is None else f"{row['accelerator_days']:,.0f}",
        )
        for row in lists_json["models"]
    ]
    lines = table_lines(
        ("model", "date", "status", "parameters", "tokens", "text GB", "FLOP", "accelerator-days"), rows, left=3
    )
    lines += ["", "printed tables of scores (abilities that were reported to emerge: --abilities)"]
    lines += [
        f"{row['id']:24} {row['title']} ({row['rows']} rows, {row['status']})" for row in lists_json["benchmarks"]
    ]
    return lines


def abilities_json() -> dict[str, Any]:
    """Every ability, least compute first, with the source and what to be careful about."""
    from foretoken.compute.abilities import ABILITIES, CAREFUL, SOURCE, STATUS

    rows = sorted(ABILITIES.values(), key=lambda row: row.flops)
    return {
        "source": SOURCE,
        "status": STATUS,
        "careful": list(CAREFUL),
        "abilities": [row.to_json() for row in rows],
    }


def abilities_lines(abilities_json: dict[str, Any]) -> list[str]:
    """The abilities as a table, then what to be careful about."""
    rows = [
        (row["ability"], row["prompting"], f"{row['model']} {_count(row['params'])}", f"{row['flops']:.1e}")
        for row in abilities_json["abilities"]
    ]
    heading = ("ability", "prompting", "first seen in", "training FLOP")
    return [
        *table_lines(heading, rows, left=3),
        "",
        f"source: {abilities_json['source']} ({abilities_json['status']})",
        *(f"careful: {warning}" for warning in abilities_json["careful"]),
    ]


def entry_lines(entry_json: dict[str, Any]) -> list[str]:
    """One entry as text; what is not known is left out."""
    lines = [f"{key:20} {_plain(value)}" for key, value in entry_json.items() if _is_plain(value)]
    for part in ("shape", "counted", "weight_bytes", "equivalents"):
        if entry_json.get(part):
            lines += ["", part, *(f"  {key:18} {_plain(value)}" for key, value in entry_json[part].items() if value)]
    for score in entry_json.get("scores", []):
        setting = f", {score['setting']}" if score["setting"] else ""
        lines.append(f"  {score['name']:24} {score['task']}, {score['metric']}{setting}: {score['score']:g}")
    return lines


def _is_plain(value: object) -> bool:
    return value not in (None, "", (), []) and not isinstance(value, dict) and not _is_scores(value)


def _is_scores(value: object) -> bool:
    return isinstance(value, list) and bool(value) and isinstance(value[0], dict)


def _plain(value: Any) -> str:
    if isinstance(value, dict):
        return ", ".join(f"{key} {_plain(number)}" for key, number in value.items())
    if isinstance(value, (list, tuple)):
        return "; ".join(map(str, value))
    if isinstance(value, float):
        return f"{value:.6g}"
    return f"{value:,}" if isinstance(value, int) and not isinstance(value, bool) else str(value)


def _count(value: float | None) -> str:
    from foretoken.units import format_count

    return "-" if value is None else format_count(value)
