from __future__ import annotations

from pathlib import Path

import pytest

from foretoken.compute.accelerator_file import read_accelerators
from foretoken.compute.accelerators import KINDS
from foretoken.errors import ForetokenError

KNOWN = read_accelerators()


@pytest.mark.parametrize(
    ("name", "tflops", "memory", "bandwidth"),
    [("V100", 125, 32, 900), ("A100", 312, 80, 2039), ("A100-40GB", 312, 40, 1555), ("H100", 989, 80, 3350),
     ("nvidia h100 pcie", 756, 80, 2000), ("H200", 989, 141, 4800), ("TPU v4", 275, 32, 1200),
     ("TPU v5p", 459, 95, 2765), ("MI300X", 1307, 192, 5300), ("RTX 4090", 165.2, 24, 1008)],
)  # fmt: skip
def test_people_name_them_their_way(name: str, tflops: float, memory: float, bandwidth: float) -> None:
    """Dense peaks in 16 bits, memory and bandwidth as in the makers' data sheets."""
    found = KNOWN.find(name)
    assert (found.peak() / 1e12, found.memory_gb, found.bandwidth_gb_s) == (tflops, memory, bandwidth)


def test_batch_from_which_decoding_is_bound_by_compute() -> None:
    """Peak over bandwidth: about 295 on an H100 and 153 on an A100."""
    ratios = [round(KNOWN.find(name).peak() / KNOWN.find(name).bandwidth) for name in ("H100", "A100")]
    assert ratios == [295, 153]


def test_every_entry_is_whole() -> None:
    names = [alias for entry in KNOWN.values() for alias in (entry.name, *entry.also)]
    assert all(KNOWN.find(alias).name for alias in names)
    assert len(set(names)) == len(names)
    for entry in KNOWN.values():
        assert entry.kind in KINDS
        assert entry.source
        assert entry.status in ("verified", "secondary")
        assert entry.announced
        assert set(entry.secondary) <= set(vars(entry)) | set(entry.peak_tflops)
        assert entry.price is None or 0 < entry.price.low <= entry.price.usd <= entry.price.high
        assert entry.price is None or (entry.price.date and entry.price.source)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("params", [1e3, 1e8, 1e12])
def test_every_kind_has_a_typical_use_at_every_size(kind: str, params: float) -> None:
    entry = next((entry for entry in KNOWN.values() if entry.kind == kind), KNOWN["h100_sxm"])
    use = KNOWN.typical_use(entry, params)
    assert 0 < use.low <= use.value <= use.high < 1
    assert use.source


def test_unknown_names_show_the_nearest() -> None:
    with pytest.raises(ForetokenError, match="H100 SXM"):
        KNOWN.find("H1000")
    with pytest.raises(ForetokenError, match="fp8"):
        KNOWN["h100_sxm"].peak("fp7")


def test_a_file_of_ones_own(tmp_path: Path) -> None:
    path = tmp_path / "mine.toml"
    path.write_text(
        "[site]\npue = 1.3\n[[mfu]]\nkinds = ['gpu']\nvalue = 0.51\n"
        "[accelerator.h100_sxm]\nprice = 1.25\n"
        "[accelerator.box]\npeak_tflops = { bf16 = 10 }\nmemory_gb = 64\nbandwidth_gb_s = 100\nkind = 'cpu'\n"
    )
    mine = read_accelerators(path)
    h100, price = mine["h100_sxm"], mine["h100_sxm"].price
    assert price
    assert (price.usd, price.source, h100.memory_gb) == (1.25, "yours", 80)
    assert "changed by you: price" in h100.source
    assert (mine.find("box").peak(), mine.find("box").status) == (10e12, "yours")
    assert (mine.site.pue, mine.site.pue_source, mine.site.kg_co2e_per_kwh) == (1.3, "yours", 0.385)
    assert mine.typical_use(h100, 1e12).value == 0.51
    assert mine.typical_use(mine["rtx_4090"]).value == KNOWN.typical_use(KNOWN["rtx_4090"]).value
    assert read_accelerators()["h100_sxm"] == KNOWN["h100_sxm"]


@pytest.mark.parametrize(
    "text",
    [
        "[site]\npue = 0.9", "[site]\npower = 1", "[[mfu]]\nkinds = ['gpu']\nvalue = 1.2", "[[mfu]]\nvalue = 0.3",
        "[accelerator.h100_sxm]\nprice = -1", "[accelerator.h100_sxm]\nmemory_gb = 'much'",
        "[accelerator.h100_sxm]\nwatts = 0", "[accelerator.h100_sxm]\ncolour = 'green'", "[accelerator.box]\nnode = 2",
        "[accelerator.h100_sxm]\npeak_tflops = {}", "[accelerator.h100_sxm]\nkind = 'abacus'", "accelerator = 3",
        "accelerator = [1]", "mfu = 1", "site = 2", "[h100]\nprice = 1", "not toml", "[accelerator]\nh100_sxm = 3",
        "[accelerator.h100_sxm]\nprice = { usd = nan }", "[accelerator.h100_sxm]\npeak_tflops = { bf16 = 'fast' }",
    ],
)  # fmt: skip
def test_a_file_that_cannot_be(text: str, tmp_path: Path) -> None:
    path = tmp_path / "mine.toml"
    path.write_text(text)
    with pytest.raises(ForetokenError):
        read_accelerators(path)


def test_a_file_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(ForetokenError, match="cannot read"):
        read_accelerators(tmp_path / "nothing.toml")
