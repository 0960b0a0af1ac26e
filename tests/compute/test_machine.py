"""An accelerator in use: every number that a cost rests on, whose it is, and what it cannot be."""

from __future__ import annotations

import math
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from foretoken.compute.accelerator_file import read_accelerators
from foretoken.compute.machine import LEAST, MOST, YOURS, check_values, machine, utilisation
from foretoken.errors import ForetokenError

KNOWN = read_accelerators()
OWN = {"mfu": 0.51, "usd_per_hour": 1.25, "watts": 333.0, "pue": 1.31, "kg_co2e_per_kwh": 0.05}


@pytest.mark.parametrize("name", KNOWN)
def test_what_is_assumed_is_what_the_registry_holds(name: str) -> None:
    entry = KNOWN[name]
    used = machine(name)
    assert used.accelerator is entry
    assert used.value("peak") == entry.peak()
    assert used.value("watts") == entry.watts
    assert used.value("usd_per_hour") == (entry.price and entry.price.usd)
    assert (used.value("pue"), used.value("kg_co2e_per_kwh")) == (KNOWN.site.pue, KNOWN.site.kg_co2e_per_kwh)
    assert used.value("mfu") == KNOWN.typical_use(entry, 1e9).value
    assert all(item.source for item in used.assumed)


@pytest.mark.parametrize("name", OWN)
def test_a_number_of_ones_own_stands_in_place_of_the_registrys_and_says_so(name: str) -> None:
    used, usual = machine("A100", **{name: OWN[name]}), machine("A100")
    assert used.value(name) == OWN[name]
    assert [item.name for item in used.assumed if item.source == YOURS] == [name]
    assert [item.name for item in used.assumed] == [item.name for item in usual.assumed]
    assert all(used.value(item.name) == item.value for item in usual.assumed if item.name != name)


@given(mfu=st.floats(0.01, 1.0), hours=st.floats(1.0, 1e7))
def test_utilisation_is_the_inverse_of_compute_from_hours(mfu: float, hours: float) -> None:
    used = machine("H100", mfu=mfu)
    assert utilisation(used.flops_per_hour * hours, hours, used.need("peak")) == pytest.approx(mfu)


@pytest.mark.parametrize(
    ("tokens_per_second", "accelerators", "device", "flops_per_token", "printed"),
    [
        # PaLM (arXiv 2204.02311, appendix B): 238.3K tokens/s on 6,144 TPU v4, 46.2 % with attention (12 L H Q T)
        (238.3e3, 6144, "TPU v4", 6 * 540.35e9 + 12 * 118 * 48 * 256 * 2048, 0.462),
        # the same without attention, as the paper's first figure
        (238.3e3, 6144, "TPU v4", 6 * 540.35e9, 0.457),
    ],
)
def test_utilisation_as_palm_prints_it(
    tokens_per_second: float, accelerators: int, device: str, flops_per_token: float, printed: float
) -> None:
    peak = machine(device).need("peak")
    found = utilisation(tokens_per_second * 3600 * flops_per_token, accelerators, peak)
    assert found == pytest.approx(printed, abs=0.001)


@pytest.mark.parametrize("name", [*MOST, *LEAST, "watts", "usd_per_hour"])
def test_limits_hold_at_their_ends_and_not_beyond(name: str) -> None:
    least, most = LEAST.get(name, 1e-300), MOST.get(name, 1e300)
    check_values({name: least, "other": None})
    check_values({name: most})
    beyond = [0.0, -1.0, math.nan, math.inf]
    beyond += [math.nextafter(most, math.inf)] if name in MOST else []
    beyond += [math.nextafter(LEAST[name], 0.0)] if name in LEAST else []
    for value in beyond:
        with pytest.raises(ForetokenError, match=f"^{name} cannot be"):
            check_values({name: value})


def test_an_accelerator_without_power_and_price_has_neither() -> None:
    bare = replace(KNOWN["h100_sxm"], watts=None, price=None)
    used = machine(bare)
    assert (used.value("watts"), used.value("usd_per_hour")) == (None, None)
    with pytest.raises(ForetokenError, match="no watts of H100 SXM is known"):
        used.need("watts")
    assert machine(bare, watts=700).need("watts") == 700


def test_smaller_models_use_less_of_it() -> None:
    uses = [machine("H100", params=params).need("mfu") for params in (1e6, 1e8, 1e9, 1e12)]
    assert uses == sorted(uses)
    assert uses[0] < uses[-1]
