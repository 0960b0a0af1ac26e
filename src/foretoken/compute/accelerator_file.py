"""Accelerators from the registry and from a user's own file."""

from __future__ import annotations

from dataclasses import dataclass, fields
from functools import cache
from pathlib import Path
from typing import Any

from foretoken.arguments import nearest
from foretoken.bounded import parse_toml, read_file
from foretoken.compute.accelerators import KINDS, Accelerator, Accelerators, Price, Site, TypicalUse
from foretoken.errors import ForetokenError, shown

REGISTRY = Path(__file__).with_name("accelerators.toml")
LARGEST_FILE = 2**20
"""Bytes of the largest file of a user's own accelerators."""
LEAST = 1e-9
"""The least of what must be above 0."""
SIZES = ("memory_gb", "bandwidth_gb_s", "node", "watts", "link_gb_s", "network_gb_s")


def read_accelerators(path: str | Path | None = None) -> Accelerators:
    """The registry, overridden by the tables of a TOML file of the user's, key by key.

    A table [accelerator.NAME] of a known id changes what it names; a new one needs `peak_tflops`, `memory_gb` and
    `bandwidth_gb_s`. Rows of [[mfu]] come before those of the registry; [site] changes PUE and grid.

    Raises ForetokenError for a file that cannot be read, unknown keys and numbers that cannot be.
    """
    if path is None:
        return _registry()
    own = AcceleratorFile.read(Path(path))
    return _checked(AcceleratorFile.read(REGISTRY).overridden_by(own), str(path))


@cache
def _registry() -> Accelerators:
    return _checked(AcceleratorFile.read(REGISTRY), "the registry")


@dataclass(frozen=True)
class AcceleratorFile:
    """The tables of a file, read and not yet checked."""

    accelerators_json: dict[str, dict[str, Any]]
    uses_json: list[dict[str, Any]]
    site_json: dict[str, Any]

    @classmethod
    def read(cls, path: Path) -> AcceleratorFile:
        """The tables of a TOML file; raises ForetokenError where it has others, or is none."""
        content = read_file(path, ForetokenError, LARGEST_FILE)
        try:
            tables = parse_toml(content)
        except ValueError as error:
            raise ForetokenError(
                f"cannot read accelerators from {path}", expected="a TOML file", got=str(error)
            ) from None
        unknown = sorted(set(tables) - {"accelerator", "mfu", "site"})
        if unknown:
            expected = "accelerator, mfu, site"
            raise ForetokenError(f"{path} has unknown tables", expected=expected, got=", ".join(unknown))
        return cls(tables.get("accelerator", {}), tables.get("mfu", []), tables.get("site", {}))

    def overridden_by(self, own: AcceleratorFile) -> AcceleratorFile:
        """These tables with those of a user's file over them, key by key."""
        try:
            accelerators = dict(self.accelerators_json)
            for name, table in own.accelerators_json.items():
                known = accelerators.get(name, {})
                accelerators[name] = {**known, **table}
                if known:
                    accelerators[name]["source"] = f"{known['source']}; changed by you: {', '.join(sorted(table))}"
            uses = [{"status": "yours", "source": "yours", "params_from": 0, **use} for use in own.uses_json]
            uses = [{"low": use["value"], "high": use["value"], **use} for use in uses]
            site = {**self.site_json, **own.site_json}
            for name in {"pue", "kg_co2e_per_kwh"} & set(own.site_json):
                site[f"{name}_source"] = own.site_json.get(f"{name}_source", "yours")
        except (TypeError, KeyError, AttributeError, ValueError) as error:
            raise ForetokenError("a file of accelerators has a table of the wrong kind", got=str(error)) from None
        return AcceleratorFile(accelerators, [*uses, *self.uses_json], site)


def _checked(file: AcceleratorFile, name: str) -> Accelerators:
    """The accelerators that a file describes; `name` is what the file is called in messages."""
    try:
        entries = {key: _accelerator_from_json(key, table) for key, table in file.accelerators_json.items()}
        uses = tuple(_use_from_json(use) for use in file.uses_json)
        accelerators = Accelerators(entries, uses, _site_from_json(file.site_json))
    except (TypeError, KeyError, AttributeError, ValueError) as error:
        raise ForetokenError(
            f"{name} does not describe accelerators",
            expected=f"tables [accelerator.NAME] ({_keys(Accelerator)}), [[mfu]] ({_keys(TypicalUse)}) and [site]"
            f" ({_keys(Site)})",
            got=str(error),
        ) from None
    _check_numbers(accelerators, name)
    for entry in accelerators.values():
        if not entry.peak_tflops or entry.kind not in KINDS:
            expected = f"peak_tflops = {{ bf16 = ... }} and one of the kinds {', '.join(KINDS)}"
            raise ForetokenError(f"{entry.id} in {name} lacks a peak or has an unknown kind", expected=expected)
    return accelerators


def _keys(kind: type[Accelerator | TypicalUse | Site]) -> str:
    return ", ".join(field.name for field in fields(kind) if field.name != "id")


def _check_keys(table_json: dict[str, Any], kind: type[Accelerator | Price | TypicalUse | Site]) -> None:
    known = [field.name for field in fields(kind)]
    for key in table_json:
        if key not in known:
            near = nearest(key, known)
            raise ValueError(f"unknown key {key!r}" + (f"; did you mean {near[0]!r}?" if near else ""))


def _accelerator_from_json(name: str, table_json: dict[str, Any]) -> Accelerator:
    values = {"id": name, "name": name, **table_json}
    _check_keys(values, Accelerator)
    values |= {key: _names(table_json[key]) for key in ("also", "secondary", "careful") if key in table_json}
    values["peak_tflops"] = {precision: float(value) for precision, value in table_json["peak_tflops"].items()}
    values["price"] = _price_from_json(table_json.get("price"))
    return Accelerator(**values)


def _price_from_json(price_json: float | dict[str, Any] | None) -> Price | None:
    """A number is a user's own price; a table has the range, the date and the source too."""
    if price_json is None:
        return None
    table = {"usd": price_json} if isinstance(price_json, int | float) else price_json
    table = {"low": table["usd"], "high": table["usd"], "date": "", "source": "yours", **table}
    _check_keys(table, Price)
    return Price(**table)


def _use_from_json(use_json: dict[str, Any]) -> TypicalUse:
    _check_keys(use_json, TypicalUse)
    return TypicalUse(**{**use_json, "kinds": _names(use_json["kinds"])})


def _names(values: object) -> tuple[str, ...]:
    """A list of texts. Raises TypeError for anything else."""
    if not isinstance(values, list) or not all(isinstance(value, str) for value in values):
        raise TypeError(f"{shown(values)} in place of a list of texts")
    return tuple(values)


def _site_from_json(site_json: dict[str, Any]) -> Site:
    _check_keys(site_json, Site)
    return Site(**site_json)


def _check_numbers(accelerators: Accelerators, file: str) -> None:
    """Every number is finite and above 0, and no share above 1."""
    site = accelerators.site
    numbers = [(f"mfu of {', '.join(use.kinds)}", use.value, LEAST, 1.0) for use in accelerators.uses]
    numbers += [("pue", site.pue, 1.0, 100.0), ("kg_co2e_per_kwh", site.kg_co2e_per_kwh, 0.0, 100.0)]
    for entry in accelerators.values():
        sizes: dict[str, float] = {name: getattr(entry, name) for name in SIZES if getattr(entry, name) is not None}
        sizes |= {f"peak in {name}": value for name, value in entry.peak_tflops.items()}
        if entry.price:
            sizes["price"] = entry.price.usd
        numbers += [(f"{name} of {entry.id}", value, LEAST, 1e12) for name, value in sizes.items()]
    for name, value, least, most in numbers:
        if not (isinstance(value, int | float) and least <= value <= most):
            raise ForetokenError(f"{name} in {file} cannot be", expected=f"{least:g} to {most:g}", got=shown(value))
