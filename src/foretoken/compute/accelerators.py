"""Accelerators and what is assumed of a machine: peak, memory, links, power, price, MFU, PUE and grid."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Literal, get_args

from foretoken.arguments import did_you_mean, nearest
from foretoken.errors import ForetokenError, shown

DeviceKind = Literal["gpu", "tpu", "consumer", "cpu"]
Verification = Literal["verified", "secondary", "assumed", "yours"]
"""Where a value is from: read at its source, from others' notes, assumed here, or a user's own."""
KINDS: tuple[DeviceKind, ...] = get_args(DeviceKind)
USED_AS: dict[DeviceKind, DeviceKind] = {"gpu": "gpu", "tpu": "tpu", "consumer": "consumer", "cpu": "gpu"}
"""The kind whose typical utilisation counts for each: of processors none is published."""


@dataclass(frozen=True)
class Price:
    """US dollars per accelerator-hour: approximate, at its date."""

    usd: float
    low: float
    high: float
    date: str
    source: str


@dataclass(frozen=True, kw_only=True)
class Accelerator:
    """One kind of device, as its maker describes it."""

    id: str
    name: str
    also: tuple[str, ...] = ()
    """Other names that mean it."""
    kind: DeviceKind = "gpu"
    announced: str = ""
    """Year and month."""
    peak_tflops: Mapping[str, float]
    """Dense peak by precision, in 1e12 FLOP/s."""
    memory_gb: float
    bandwidth_gb_s: float
    watts: float | None = None
    link_gb_s: float | None = None
    """To its neighbours in one machine, both ways together."""
    network_gb_s: float | None = None
    """To other machines, one way."""
    node: int = 8
    """Accelerators in one machine."""
    price: Price | None = None
    source: str = "yours"
    status: Verification = "yours"
    secondary: tuple[str, ...] = ()
    """Fields, or precisions of the peak, that were not read at the source."""
    careful: tuple[str, ...] = ()

    def peak(self, precision: str | None = None) -> float:
        """Dense peak in FLOP/s; by default in bf16, or in fp16 where there is no bf16, or in the first given.

        Raises ForetokenError for a precision that is not known of it.
        """
        usual = next((name for name in ("bf16", "fp16") if name in self.peak_tflops), next(iter(self.peak_tflops)))
        name = precision or usual
        if name not in self.peak_tflops:
            raise ForetokenError(
                f"no peak of {self.name} in {name} is known",
                expected=", ".join(self.peak_tflops),
                got=repr(name),
                cure=did_you_mean(name, self.peak_tflops),
            )
        return self.peak_tflops[name] * 1e12

    @property
    def memory(self) -> float:
        """Memory in bytes (1 GB is 1e9 bytes here, so that nothing is promised that may not be there)."""
        return self.memory_gb * 1e9

    @property
    def bandwidth(self) -> float:
        """Bytes per second between memory and cores."""
        return self.bandwidth_gb_s * 1e9


@dataclass(frozen=True, kw_only=True)
class TypicalUse:
    """Model FLOPs utilisation to be expected where none was measured."""

    kinds: tuple[DeviceKind, ...]
    params_from: float
    value: float
    low: float
    high: float
    source: str
    status: Verification

    @property
    def is_yours(self) -> bool:
        """Whether it is from a user's own file."""
        return self.status == "yours"


@dataclass(frozen=True, kw_only=True)
class Site:
    """Where the machine stands."""

    pue: float
    """Power usage effectiveness: energy of the building over that of the machine."""
    pue_source: str
    kg_co2e_per_kwh: float
    """Of the local grid (location-based)."""
    kg_co2e_per_kwh_source: str


@dataclass(frozen=True)
class Accelerators(Mapping[str, Accelerator]):
    """All known accelerators by id, with the typical MFU and the site."""

    entries: Mapping[str, Accelerator]
    uses: tuple[TypicalUse, ...]
    site: Site

    def __getitem__(self, name: str) -> Accelerator:
        return self.entries[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self.entries)

    def __len__(self) -> int:
        return len(self.entries)

    def find(self, name: str) -> Accelerator:
        """The accelerator that people mean by a name: its id, its full name, or another name of it.

        Raises ForetokenError with the nearest names.

        >>> from foretoken.compute.accelerator_file import read_accelerators
        >>> read_accelerators().find("H100").name, read_accelerators().find("rtx4090").id
        ('H100 SXM', 'rtx_4090')
        """
        names = {_plain(alias): entry for entry in self.values() for alias in (entry.id, entry.name, *entry.also)}
        entry = names.get(_plain(name))
        if entry is None:
            near = list(dict.fromkeys(names[key].name for key in nearest(_plain(name), names, 4)))
            raise ForetokenError(
                f"unknown accelerator {shown(name)}",
                expected=f"nearest known: {', '.join(near or [other.name for other in self.values()])}",
                cure="take one of these, or describe yours in a file for --accelerators: [accelerator.NAME] with kind"
                " and peak_tflops = { bf16 = ... }",
            )
        return entry

    def typical_use(self, accelerator: Accelerator, params: float = 1e9) -> TypicalUse:
        """Typical MFU of this kind of device on a model of so many parameters; the user's own rows first.

        >>> from foretoken.compute.accelerator_file import read_accelerators
        >>> known = read_accelerators()
        >>> known.typical_use(known["h100_sxm"]).value, known.typical_use(known["h100_sxm"], 1e7).value
        (0.4, 0.12)
        """
        kind = USED_AS[accelerator.kind]
        fitting = [use for use in self.uses if kind in use.kinds and use.params_from <= params]
        return max(fitting, key=lambda use: (use.is_yours, use.params_from))


def _plain(name: str) -> str:
    return re.sub(r"[^a-z0-9]", "", name.lower()).removeprefix("nvidia").removeprefix("amd").removeprefix("google")
