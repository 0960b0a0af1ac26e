"""How it was made: conventions, corpus, machine, energy, settings and the exact commands."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from foretoken.reports.elements import Html, details, element, section, table
from foretoken.reports.numbers import MISSING, count, number, percent, power
from foretoken.reports.study_results import StudyResults
from foretoken.units import format_duration

CONVENTIONS = (
    ("N", "all trained parameters, embeddings and head included, unless the fit names another column"),
    ("D", "training tokens that the network read; behind an encoder, those of source and target"),
    (
        "FLOP",
        "every multiply-add of every matrix product, forward and backward, with attention and the output head",
    ),
    (
        "loss",
        "nats per predicted token, on one fixed set of held-out documents; losses of different objectives tell "
        "different things and are never compared",
    ),
    ("interval", "where one new run will fall, not only where the law lies"),
)


def making_section(study: StudyResults) -> Html:
    """The section, with the settings folded away."""
    facts = table(["", ""], [[name, words] for name, words in _facts(study)], class_="plain")
    settings = table(["setting", "value"], list(_flat(study.study)), class_="plain")
    return section(
        "making",
        "How it was made",
        element("pre", element("code", "\n".join(commands(study))), tabindex="0"),
        facts,
        element("h3", "Conventions"),
        table(["", ""], CONVENTIONS, class_="plain"),
        details("Settings of the study file, defaults included", settings),
    )


def commands(study: StudyResults) -> list[str]:
    """What was typed to make the study, and what rebuilds its page, last."""
    return list(map(str, study.commands)) or [f"foretoken report runs/{study.name}"]


def _facts(study: StudyResults) -> Iterator[tuple[str, str]]:
    corpus, design, cost = study.corpus, study.design, study.cost
    if corpus:
        words = f"{corpus.get('source', MISSING)}, {count(corpus.get('tokens'))} tokens" + (
            f", {count(corpus['bytes'])} bytes" if corpus.get("bytes") else ""
        )
        yield "corpus", words
        yield "sha256 of the corpus", str(corpus.get("sha256") or MISSING)
    if study.entropy_rate is not None:
        yield "entropy rate of the source", f"{number(study.entropy_rate, 4)} nats per token"
    yield from _identities(study)
    if design.get("total_flops") is not None:
        share = percent(design.get("share_of_target"), 0)
        yield "compute of the small runs", f"{power(design['total_flops'])} FLOP, {share} of the target's"
    if cost.get("seconds") is not None:
        yield "time", f"{format_duration(cost['seconds'])} of training, all processes together"
    if cost.get("kwh") is not None:
        yield "energy", f"{cost['kwh']:.2g} kWh ({cost.get('kwh_source') or 'estimate'})"
    if cost.get("machine"):
        yield "machine", str(cost["machine"])
    if study.fit is not None:
        yield "sha256 of the fitted rows", study.fit.data_sha256
    if study.version or (study.fit and study.fit.version):
        yield "foretoken", study.version or (study.fit.version if study.fit else "")


def _identities(study: StudyResults) -> Iterator[tuple[str, str]]:
    """What the runs say of themselves; one value each in a sound study, all of them otherwise."""
    specs = [record.spec for record in study.records]
    for name in ("objective", "tokenizer", "eval_set", "precision", "software"):
        values = sorted({str(getattr(spec, name)) for spec in specs})
        if values:
            yield name.replace("_", " "), ", ".join(values)
    devices = sorted({record.device for record in study.records if record.device})
    if devices and not study.cost.get("machine"):
        yield "machine", ", ".join(devices)


def _flat(values: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, str]]:
    """Nested settings as dotted names; what is not set is left out."""
    for key, value in values.items():
        name = f"{prefix}{key}"
        if isinstance(value, Mapping):
            yield from _flat(value, f"{name}.")
        elif value is not None:
            yield name, str(value)
