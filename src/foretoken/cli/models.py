"""`foretoken models`: published models with their sizes, tokens, compute, hardware and prices, and printed scores."""

from __future__ import annotations

from dataclasses import asdict
from typing import Annotated, Any

import typer

from foretoken.cli.options import JsonOption
from foretoken.cli.printing import print_json, print_text, table_lines


def models(
    name: Annotated[str | None, typer.Argument(metavar="[NAME]", help="A model or a printed table, by its id.")] = None,
    json: JsonOption = False,
) -> None:
    """List published models and printed tables of scores, or show one in full, a model with its parameters by group.

    Example: foretoken models llama_65b
    """
    values = list_json() if name is None else entry_json(name)
    if json:
        print_json(values)
    else:
        print_text("\n".join(list_lines(values) if name is None else entry_lines(values)))


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
            "-" if row["flops"] is None else f"{row['flops']:.2e}",
        )
        for row in lists_json["models"]
    ]
    lines = table_lines(("model", "date", "status", "parameters", "tokens", "FLOP"), rows, left=3)
    lines += ["", "printed tables of scores"]
    lines += [
        f"{row['id']:24} {row['title']} ({row['rows']} rows, {row['status']})" for row in lists_json["benchmarks"]
    ]
    return lines


def entry_lines(entry_json: dict[str, Any]) -> list[str]:
    """One entry as text; what is not known is left out."""
    lines = [f"{key:20} {_plain(value)}" for key, value in entry_json.items() if _is_plain(value)]
    for part in ("shape", "counted"):
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
