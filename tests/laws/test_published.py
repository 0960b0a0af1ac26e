"""What papers published, reproduced to the digits that they state."""

from __future__ import annotations

import math
import re
from pathlib import Path

import numpy as np
import pytest

import foretoken
from foretoken.errors import ForetokenError
from foretoken.laws import LAWS, PUBLISHED, Published, cite, kaplan, multi_power
from foretoken.laws.cite import of_law, works
from foretoken.laws.downstream import two_step
from foretoken.laws.joint_experts import at_experts
from foretoken.laws.precision import kept
from foretoken.laws.published import STATUSES
from foretoken.laws.repeated_data import unique_params, worth
from foretoken.laws.routing import effective_experts

PF_DAY = 8.64e19
every_id = pytest.mark.parametrize("name", PUBLISHED)
DOCS = Path(__file__).parents[2] / "docs" / "laws"


def of(name: str, **features: object) -> float:
    """What the published law `name` gives."""
    entry = PUBLISHED[name]
    return float(LAWS[entry.law].evaluate(entry.parameters, **features))


def split(name: str, flops: float) -> tuple[float, float]:
    """N* and D* at so much compute."""
    optimum = LAWS[PUBLISHED[name].law].optimum
    assert optimum
    N, D = optimum(PUBLISHED[name].parameters, flops)
    return float(N), float(D)


@every_id
def test_an_entry_is_complete(name: str) -> None:
    entry = PUBLISHED[name]
    assert set(entry.parameters) == set(LAWS[entry.law].parameters)
    assert set(entry.standard_errors) <= set(entry.parameters)
    assert entry.status in STATUSES
    for text in (entry.source, entry.counting, entry.compute, entry.loss, entry.corpus, entry.tokenizer, entry.range):
        assert text
    assert entry.careful
    work = works()[entry.work]
    assert work.arxiv in entry.source
    assert re.fullmatch(r"[a-z0-9]+_\d{4}(_[a-z0-9_]+)?", name)
    assert str(work.year) in name
    assert work.arxiv in cite(name).text
    assert work.arxiv in cite(name).bibtex


@every_id
def test_every_interval_holds_its_value(name: str) -> None:
    entry = PUBLISHED[name]
    if entry.intervals:
        assert entry.interval_text
    for parameter, (low, high) in entry.intervals.items():
        value = entry.parameters.get(parameter, low)
        assert low <= value <= high or name == "hoffmann_2022_tex"


@pytest.mark.parametrize("name", LAWS)
def test_every_law_has_a_source_and_a_page(name: str) -> None:
    assert of_law(LAWS[name].citation)
    pages = [page.name for page in DOCS.glob("*.md") if page.name != "README.md" and f"`{name}`" in page.read_text()]
    assert pages
    index = (DOCS / "README.md").read_text()
    assert f"`{name}`" in index
    assert set(re.findall(r"\]\((\w+\.md)\)", index)) == {page.name for page in DOCS.glob("*.md")} - {"README.md"}


@every_id
def test_every_published_id_is_on_the_page_of_its_law(name: str) -> None:
    pages = [page.read_text() for page in DOCS.glob("*.md") if f"`{PUBLISHED[name].law}`" in page.read_text()]
    row = next(line for page in pages for line in page.splitlines() if line.startswith(f"| `{name}` |"))
    for parameter, value in PUBLISHED[name].parameters.items():
        assert f"{parameter} {value!r}" in row


@pytest.mark.parametrize("name", works())
def test_a_work_can_be_cited(name: str) -> None:
    work = works()[name]
    assert work.bibtex.count("{") == work.bibtex.count("}")
    assert f"eprint = {{{work.arxiv}}}" in work.bibtex
    assert str(work.year) in work.text
    used = {entry.work for entry in PUBLISHED.values()} | {
        one.key for law in LAWS.values() for one in of_law(law.citation)
    }
    assert name in used


def test_cite_is_public_and_names_the_near_ones() -> None:
    assert foretoken.cite is cite
    with pytest.raises(ForetokenError, match="besiroglu_2024"):
        cite("besiroglou_2024")
    with pytest.raises(ForetokenError, match="foretoken laws"):
        cite("zzz")


# Kaplan et al. 2020


def test_kaplan_constants_are_those_of_the_tables() -> None:
    assert of("kaplan_2020_params", params=8.8e13) == pytest.approx(1)
    assert of("kaplan_2020_params", params=1.5e9) == pytest.approx((8.8e13 / 1.5e9) ** 0.076)
    assert of("kaplan_2020_tokens", tokens=2.2e10) == pytest.approx((5.4e13 / 2.2e10) ** 0.095)
    assert of("kaplan_2020_flops", flops=PF_DAY) == pytest.approx(1.6e7**0.057)
    assert of("kaplan_2020_flops_min", flops_min=PF_DAY) == pytest.approx(3.1e8**0.050)
    expected = ((6.4e13 / 1e8) ** (0.076 / 0.103) + 1.8e13 / 1e10) ** 0.103
    assert of("kaplan_2020", params=1e8, tokens=1e10) == pytest.approx(expected)
    expected = (6.5e13 / 1e8) ** 0.077 + (2.1e3 / 1e5) ** 0.76
    assert of("kaplan_2020_steps", params=1e8, steps_min=1e5) == pytest.approx(expected)
    assert of("kaplan_2020_batch", loss=2.5) == pytest.approx(2.1e8 / 2.5 ** (1 / 0.21))


@pytest.mark.parametrize("days", [1.0, 37.0])
def test_kaplan_allocation_in_pf_days(days: float) -> None:
    flops = days * PF_DAY
    assert of("kaplan_2020_allocation", flops=flops) == pytest.approx(1.3e9 * days**0.73)
    assert of("kaplan_2020_allocation_fixed_batch", flops=flops) == pytest.approx(1.6e9 * days**0.88)
    assert of("kaplan_2020_allocation_tokens", flops=flops) == pytest.approx(2e10 * days**0.27)
    assert of("kaplan_2020_allocation_steps", flops=flops) == pytest.approx(5.4e3 * days**0.03)
    assert of("kaplan_2020_batch_flops", flops=flops) == pytest.approx(2.0e6 * days**0.24)


def test_ten_times_the_compute_is_five_times_the_model_to_kaplan() -> None:
    model, data = (of(f"kaplan_2020_allocation{end}", flops=1e21) / of(f"kaplan_2020_allocation{end}", flops=1e20)
                   for end in ("", "_tokens"))  # fmt: skip
    assert (round(model, 1), round(data, 2)) == (5.4, 1.86)


def test_steps_and_compute_of_a_batch_lie_on_the_hyperbola() -> None:
    critical, batch, steps = 1e6, 3e5, 1e4
    least_steps = kaplan.min_steps(steps, batch, critical)
    least_tokens = kaplan.min_compute(steps * batch, batch, critical)
    assert (steps / least_steps - 1) * (steps * batch / least_tokens - 1) == pytest.approx(1)
    assert least_tokens / least_steps == pytest.approx(critical)


def test_kaplan_learning_rate_is_zero_at_twelve_billion() -> None:
    assert of("kaplan_2020_learning_rate", params=1e8) == pytest.approx(0.003239 - 0.0001395 * math.log(1e8))
    assert math.exp(0.003239 / 0.0001395) == pytest.approx(1.2e10, rel=0.02)
    assert abs(of("kaplan_2020_learning_rate", params=1.21e10)) < 2e-6


# Hoffmann et al. 2022 and Besiroglu et al. 2024


@pytest.mark.parametrize(
    ("name", "gopher", "llama"),
    [("hoffmann_2022_rounded", 93, 139), ("hoffmann_2022_tex", 59, 85), ("besiroglu_2024", 18.4, 16.5)],
)
def test_tokens_per_parameter(name: str, gopher: float, llama: float) -> None:
    for flops, expected in ((5.76e23, gopher), (3.8e25, llama)):
        N, D = split(name, flops)
        assert round(D / N, 1 if expected < 20 else 0) == pytest.approx(expected)


def test_twenty_tokens_per_parameter_is_no_constant() -> None:
    assert round(split("hoffmann_2022_tex", 1e19)[1] / split("hoffmann_2022_tex", 1e19)[0]) == 23
    assert round(split("besiroglu_2024", 1e19)[1] / split("besiroglu_2024", 1e19)[0]) == 24


@pytest.mark.parametrize("name", ["hoffmann_2022_approach1", "hoffmann_2022_approach2", "hoffmann_2022_tex"])
def test_printed_tables_of_optima(name: str) -> None:
    assert len(PUBLISHED[name].table) == 9
    for row in PUBLISHED[name].table:
        assert 6 * row["params"] * row["tokens"] == pytest.approx(row["flops"], rel=0.06)
        assert split(name, row["flops"])[0] == pytest.approx(row["params"], rel=0.08)


@pytest.mark.parametrize(
    ("name", "exponent", "of_loss"), [("hoffmann_2022_tex", 0.46, 0.155), ("besiroglu_2024", 0.5126, 0.178)]
)
def test_exponents_of_size_and_of_loss(name: str, exponent: float, of_loss: float) -> None:
    p = PUBLISHED[name].parameters
    a = math.log(split(name, 1e22)[0] / split(name, 1e21)[0]) / math.log(10)
    assert a == pytest.approx(exponent, abs=0.005)
    assert p["alpha"] * p["beta"] / (p["alpha"] + p["beta"]) == pytest.approx(of_loss, abs=5e-4)


def test_the_digits_of_the_source_are_kept() -> None:
    p = PUBLISHED["hoffmann_2022_tex"].parameters
    assert [math.log(p[name]) for name in "ABE"] == pytest.approx([6.0073404, 6.0179186, 0.5267228], abs=1e-7)
    assert PUBLISHED["besiroglu_2024"].standard_errors["B"] == 1293.23


def test_the_rounded_set_warns() -> None:
    assert "Do not plan with it" in PUBLISHED["hoffmann_2022_rounded"].careful[0]


@pytest.mark.parametrize(("smaller", "overhead"), [(0.75, 2.8), (0.5, 20.8), (0.3, 105), (0.25, 188.6), (0.2, 427)])
def test_overhead_of_a_smaller_model(smaller: float, overhead: float) -> None:
    p = PUBLISHED["hoffmann_2022_rounded"].parameters
    N, D = split("hoffmann_2022_rounded", 5.76e23)
    best = of("hoffmann_2022_rounded", params=N, tokens=D)
    left = best - p["E"] - p["A"] / (smaller * N) ** p["alpha"]
    longer = (p["B"] / left) ** (1 / p["beta"])
    assert 100 * (smaller * longer / D - 1) == pytest.approx(overhead, rel=0.02)


# Repeated data, over-training, experts, precision


def test_what_epochs_are_worth() -> None:
    p = PUBLISHED["muennighoff_2023"].parameters
    epochs = np.array([2, 4, 8, 16, 40])
    assert (worth(epochs, 1.0, p["R_D"]) / epochs).round(3).tolist() == [0.984, 0.931, 0.828, 0.661, 0.379]
    assert float(worth(1e9, 1.0, p["R_D"])) == pytest.approx(16.39, abs=0.005)
    assert [math.log(p[name]) for name in "ABE"] == pytest.approx([6.255414, 7.3049974, 0.6254804], abs=1e-12)
    assert [round(p["A"]), round(p["B"]), round(p["E"], 2)] == [521, 1488, 1.87]
    share = unique_params(1.0, A=p["A"], B=p["B"], alpha=p["alpha"])
    assert round(float(share), 3) == 0.051


def test_repeated_data_is_chinchilla_when_all_is_fresh() -> None:
    p = PUBLISHED["muennighoff_2023"].parameters
    base = {name: p[name] for name in ("E", "A", "B", "alpha")} | {"beta": p["alpha"]}
    told = of("muennighoff_2023", params=1e9, tokens=1e11, unique_tokens=1e11)
    assert told == pytest.approx(float(LAWS["chinchilla"].evaluate(base, params=1e9, tokens=1e11)), rel=1e-12)
    excess = of("muennighoff_2023", params=1e9, tokens=1e9, unique_tokens=1e9)
    assert excess > float(LAWS["chinchilla"].evaluate(base, params=1e9, tokens=1e9))


@pytest.mark.parametrize(
    ("name", "a", "b", "eta"),
    [("c4", 141, 190, 0.121), ("redpajama", 212, 367, 0.136), ("refinedweb", 157, 246, 0.127)],
)
def test_overtraining_in_its_own_variables(name: str, a: float, b: float, eta: float) -> None:
    p = PUBLISHED[f"gadre_2024_{name}"].parameters
    assert [round(p["a"]), round(p["b"])] == [a, pytest.approx(b, abs=1)]
    assert p["eta"] == pytest.approx(eta, abs=6e-4)
    N, D = 1.4e9, 640 * 1.4e9
    C, M = 6 * N * D, D / N
    told = of(f"gadre_2024_{name}", params=N, tokens=D)
    assert told == pytest.approx(p["E"] + (p["a"] * M ** p["eta"] + p["b"] * M ** -p["eta"]) * C ** -p["eta"])
    best = split(f"gadre_2024_{name}", 1e21)
    assert best[1] / best[0] == pytest.approx((p["b"] / p["a"]) ** (1 / (2 * p["eta"])))


def test_two_steps_to_the_error_of_tasks() -> None:
    law, error = PUBLISHED["gadre_2024_c4"], PUBLISHED["gadre_2024_c4_error17"]
    told = two_step(LAWS[law.law], law.parameters, LAWS[error.law], error.parameters, params=1e9, tokens=2e10)
    loss = of("gadre_2024_c4", params=1e9, tokens=2e10)
    assert float(told) == pytest.approx(0.850 - 2.08 * math.exp(-0.756 * loss))


def test_routing_of_one_expert_is_e_start() -> None:
    p = PUBLISHED["clark_2022_sbase"].parameters
    assert effective_experts(1, E_start=p["E_start"], E_max=p["E_max"]) == pytest.approx(1.847)
    assert effective_experts(1e9, E_start=p["E_start"], E_max=p["E_max"]) == pytest.approx(314.478, rel=1e-5)
    size, routes = 9.0, math.log10(effective_experts(64, E_start=1.847, E_max=314.478))
    expected = 10 ** (-0.082 * size - 0.108 * routes + 0.009 * size * routes + 1.104)
    assert of("clark_2022_sbase", params=1e9, experts=64) == pytest.approx(expected)


def test_joint_experts_at_one_expert_is_the_papers_dense_law() -> None:
    dense = at_experts(PUBLISHED["ludziejewski_2025"].parameters, 1)
    assert [round(dense["A"], 1), round(dense["alpha"], 3), round(dense["B"], 1), round(dense["beta"], 3)] == [
        30.4, 0.182, 53.8, 0.196,
    ]  # fmt: skip
    p = PUBLISHED["ludziejewski_2025"].parameters
    joint = LAWS["joint_experts"]
    assert joint.optimum
    for experts, size, data in ((1, 5.7e9, 29e9), (8, 3.8e9, 44e9)):
        N, D = joint.optimum(p, 1e21, experts=experts)
        assert (float(N), float(D)) == pytest.approx((size, data), rel=0.03)
    direct = of("ludziejewski_2025", params=1e9, tokens=1e11, experts=8)
    assert direct == pytest.approx(float(LAWS["chinchilla"].evaluate(at_experts(p, 8), params=1e9, tokens=1e11)))


def test_fine_grained_experts() -> None:
    expected = 0.47 + (2.1 / 4**0.58 + 18.1) / 1e9**0.115 + 30.8 / 1e11**0.147
    assert of("krajewski_2024", params=1e9, tokens=1e11, granularity=4) == pytest.approx(expected)


def test_what_bits_of_the_weights_keep() -> None:
    gamma = PUBLISHED["kumar_2024"].parameters["gamma_w"]
    told = [round(float(kept(bits, gamma)), 3) for bits in (16.0, 8.0, 4.0, 3.0)]
    assert told == [pytest.approx(0.997, abs=0.001), 0.950, 0.776, 0.674]


# Rules for learning rate, batch and split


@pytest.mark.parametrize(
    ("name", "features", "expected"),
    [
        ("deepseek_2024_learning_rate", {"flops": 1e20}, "9.86e-04"),
        ("deepseek_2024_batch", {"flops": 1e20}, "1.02e+06"),
        ("steplaw_2025_learning_rate", {"params": 1e9, "tokens": 1e11}, "1.63e-03"),
        ("steplaw_2025_batch", {"tokens": 1e11}, "1.11e+06"),
        ("porian_2024_learning_rate", {"params": 108e6}, "4.70e-03"),
        ("porian_2024_batch", {"params": 108e6}, f"{160 * 2048:.2e}"),
        ("minicpm_2024_batch", {"loss": 1.0}, "1.21e+09"),
        ("minicpm_2024_batch", {"loss": 3.0}, f"{1.21e9 / 3**6.24:.2e}"),
        ("ludziejewski_2025_learning_rate", {"params": 1e9, "experts": 8.0},
         f"{math.exp(8.39 - 0.81 * math.log(1e9) - 0.25 * math.log(8)):.2e}"),
        ("llama3_2024", {"flops": 3.8e25}, "1.63e+13"),
    ],
)  # fmt: skip
def test_rules(name: str, features: dict[str, float], expected: str) -> None:
    assert f"{of(name, **features):.2e}" == expected


def test_llama_and_deepseek_splits() -> None:
    assert split("llama3_2024", 3.8e25)[0] == pytest.approx(389e9, rel=0.005)
    C = 1e20
    assert of("deepseek_2024", flops=C) * of("deepseek_2024_tokens", flops=C) == pytest.approx(C, rel=0.001)


# The curve of a run


def test_multi_power_is_its_sum_written_out() -> None:
    p = PUBLISHED["luo_2025_25m"].parameters
    rates = [3e-4, 3e-4, 2e-4, 1e-4, 1e-4, 0.0]
    warm = 0.002
    told = multi_power.loss_curve(p, rates, warm)
    for t in range(1, len(rates) + 1):
        fall = 0.0
        for k in range(1, t):
            if rates[k] > 0:
                x = p["C"] * rates[k] ** -p["gamma"] * sum(rates[k:t])
                fall += (rates[k - 1] - rates[k]) * (1 - (1 + x) ** -p["beta"])
        assert told[t - 1] == pytest.approx(p["E"] + p["A"] * (sum(rates[:t]) + warm) ** -p["alpha"] - p["B"] * fall)


def test_the_registry_is_a_mapping() -> None:
    assert len(PUBLISHED) == len(list(PUBLISHED)) > 40
    assert isinstance(PUBLISHED["besiroglu_2024"], Published)
    assert "hoffmann_2022_rounded" in PUBLISHED
    with pytest.raises(KeyError):
        PUBLISHED["nobody_1999"]
