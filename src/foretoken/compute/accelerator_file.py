"""Accelerators from the registry and from a user's own file."""

from __future__ import annotations

import tomllib
from functools import cache
from pathlib import Path
from typing import Any

from foretoken.compute.accelerators import KINDS, Accelerator, Accelerators, Price, Site, TypicalUse
from foretoken.errors import ForetokenError, shown

LARGEST_FILE = 2**20
"""Bytes of the largest file of a user's own accelerators."""
LEAST = 1e-9
SIZES = ("memory_gb", "bandwidth_gb_s", "node", "watts", "link_gb_s", "network_gb_s")


def read_accelerators(path: str | Path | None = None) -> Accelerators:
    """The registry, overridden by the tables of a TOML file of the user's, key by key.

    A table [accelerator.NAME] of a known id changes what it names; a new one needs `peak_tflops`, `memory_gb` and
    `bandwidth_gb_s`. Rows of [[mfu]] come before those of the registry; [site] changes PUE and grid.

    Raises ForetokenError for a file that cannot be read, unknown keys and numbers that cannot be.
    """
    return _plain() if path is None else _read(Path(path))


@cache
def _registry() -> dict[str, Any]:
    return tomllib.loads(Path(__file__).with_name("accelerators.toml").read_text(encoding="utf-8"))


@cache
def _plain() -> Accelerators:
    return _read(None)


def _read(path: Path | None) -> Accelerators:
    values, place = _registry(), "the registry"
    if path is not None:
        values, place = _merged(values, _own(path)), str(path)
    try:
        entries = {name: _accelerator(name, table) for name, table in values["accelerator"].items()}
        uses = tuple(TypicalUse(**{**use, "kinds": tuple(use["kinds"])}) for use in values["mfu"])
        found = Accelerators(entries, uses, Site(**values["site"]))
    except (TypeError, KeyError, AttributeError, ValueError) as error:
        raise ForetokenError(
            f"{place} does not describe accelerators",
            expected="tables [accelerator.NAME], [[mfu]] and [site] with the keys of docs/costs.md",
            got=str(error),
        ) from None
    _check(found, place)
    return found


def _own(path: Path) -> dict[str, Any]:
    try:
        with open(path, "rb") as file:
            content = file.read(LARGEST_FILE + 1)
        if len(content) > LARGEST_FILE:
            raise ValueError(f"more than {LARGEST_FILE} bytes")
        found = tomllib.loads(content.decode("utf-8-sig"))
    except (OSError, ValueError, RecursionError) as error:
        raise ForetokenError(f"cannot read accelerators from {path}", expected="a TOML file", got=str(error)) from None
    unknown = set(found) - {"accelerator", "mfu", "site"}
    if unknown:
        raise ForetokenError(
            f"{path} has unknown tables", expected="accelerator, mfu, site", got=", ".join(sorted(unknown))
        )
    return found


def _merged(registry: dict[str, Any], own: dict[str, Any]) -> dict[str, Any]:
    try:
        tables = dict(registry["accelerator"])
        for name, table in own.get("accelerator", {}).items():
            tables[name] = {**tables.get(name, {}), **table}
            if name in registry["accelerator"]:
                tables[name]["source"] = f"{tables[name]['source']}; changed by you: {', '.join(sorted(table))}"
        uses = [{"status": "yours", "source": "yours", "params_from": 0, **use} for use in own.get("mfu", [])]
        uses = [{"low": use["value"], "high": use["value"], **use} for use in uses]
        site = {**registry["site"], **own.get("site", {})}
        for name in set(own.get("site", {})) & {"pue", "kg_co2e_per_kwh"}:
            site[f"{name}_source"] = own["site"].get(f"{name}_source", "yours")
    except (TypeError, KeyError, AttributeError, ValueError) as error:
        raise ForetokenError("a file of accelerators has a table of the wrong kind", got=str(error)) from None
    return {"accelerator": tables, "mfu": [*uses, *registry["mfu"]], "site": site}


def _accelerator(name: str, table: dict[str, Any]) -> Accelerator:
    parts: dict[str, Any] = {key: tuple(table[key]) for key in ("also", "secondary", "careful") if key in table}
    price = table.get("price")
    if isinstance(price, int | float):
        price = {"usd": price, "low": price, "high": price, "date": "", "source": "yours"}
    elif price is not None:
        price = {"low": price["usd"], "high": price["usd"], "date": "", "source": "yours", **price}
    peaks = {precision: float(value) for precision, value in table["peak_tflops"].items()}
    parts |= {"peak_tflops": peaks, "price": None if price is None else Price(**price)}
    return Accelerator(id=name, **({"name": name} | table | parts))


def _check(found: Accelerators, place: str) -> None:
    """Every number is finite and above 0, and no share above 1."""
    numbers = [(f"mfu of {', '.join(use.kinds)}", use.value, LEAST, 1.0) for use in found.uses]
    numbers += [("pue", found.site.pue, 1.0, 100.0), ("kg_co2e_per_kwh", found.site.kg_co2e_per_kwh, 0.0, 100.0)]
    for entry in found.values():
        given: dict[str, Any] = {name: getattr(entry, name) for name in SIZES if getattr(entry, name) is not None}
        given |= {f"peak in {name}": value for name, value in entry.peak_tflops.items()}
        if entry.price:
            given["price"] = entry.price.usd
        numbers += [(f"{name} of {entry.id}", value, LEAST, 1e12) for name, value in given.items()]
    for name, value, least, most in numbers:
        if not (isinstance(value, int | float) and least <= value <= most):
            raise ForetokenError(f"{name} in {place} cannot be", expected=f"{least:g} to {most:g}", got=shown(value))
    for entry in found.values():
        if not entry.peak_tflops or entry.kind not in KINDS:
            expected = f"peak_tflops = {{ bf16 = ... }} and one of the kinds {', '.join(KINDS)}"
            raise ForetokenError(f"{entry.id} in {place} lacks a peak or has an unknown kind", expected=expected)
