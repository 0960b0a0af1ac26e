"""The page of a diagnosis: checks of a table, what could not be checked, and what counting conventions change."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from foretoken.checks.conventions import Conventions
from foretoken.checks.diagnose import Diagnosis
from foretoken.checks.waterfall import Step
from foretoken.reports.forest import Line, forest
from foretoken.reports.html import SEVERITIES, Html, as_sentence, element, figure, join, section, table, with_code
from foretoken.reports.numbers import count, interval, number, significant
from foretoken.reports.summary import Fact, Page, PageOptions, assumed_section, lead


def diagnosis_page(diagnosis: Diagnosis, options: PageOptions) -> Page:
    """All checks of a table, what could not be checked, and its conventions."""
    sentence = _sentence(diagnosis)
    return Page(
        title=options.source or "Diagnosis",
        kicker="foretoken diagnose",
        sentence=sentence,
        parts=_parts(diagnosis, sentence),
    )


def _parts(diagnosis: Diagnosis, sentence: str) -> Iterator[Html | None]:
    yield lead(sentence, _facts(diagnosis), diagnosis.checks)
    yield section("checks", "Doubts and cures", _checks(diagnosis))
    yield section("unchecked", "What could not be checked", *_unchecked(diagnosis))
    yield conventions_section(diagnosis.conventions)
    yield assumed_section(diagnosis.assumed)


def _sentence(diagnosis: Diagnosis) -> str:
    refused = sum(check.is_refusal for check in diagnosis.checks)
    doubts = sum(check.is_doubt for check in diagnosis.checks)
    if refused:
        return f"No law should be fitted to this table: {as_sentence(diagnosis.checks[0].evidence, capital=False)}"
    if doubts:
        return f"{doubts} doubt{'s' * (doubts > 1)} about this table of {diagnosis.rows.used} usable runs."
    return f"No check that the columns allow raises a doubt about these {diagnosis.rows.used} runs."


def _facts(diagnosis: Diagnosis) -> Iterator[Fact]:
    lost = diagnosis.rows.left_out
    yield "Runs", f"{diagnosis.rows.used} usable", f"{lost} left out" if lost else "none left out"
    yield "Checks that fired", str(len(diagnosis.checks)), f"{sum(not c.is_note for c in diagnosis.checks)} are doubts"
    yield "Not checked", str(len(diagnosis.unchecked)), "columns are missing"
    yield "N counted by", diagnosis.params_column, ""
    yield "Unit", diagnosis.loss_unit, "of the loss"


def _checks(diagnosis: Diagnosis) -> Html:
    if not diagnosis.checks:
        return element("p", "No check fired.")
    rows = [
        [
            element("strong", SEVERITIES.get(check.severity, check.severity)),
            with_code(as_sentence(check.evidence)),
            with_code(as_sentence(check.cure)),
            element("code", check.code),
        ]
        for check in diagnosis.checks
    ]
    return table(["", "evidence", "cure", "code"], rows, class_="words")


def _unchecked(diagnosis: Diagnosis) -> list[Html]:
    if not diagnosis.unchecked:
        return [element("p", "The columns allow every check.")]
    words = "A check whose column is missing says nothing. Add these columns, or name them with --map."
    rows = [
        [as_sentence(entry.what), _codes(entry.columns, " or "), _codes(entry.codes, ", ")]
        for entry in diagnosis.unchecked
    ]
    return [element("p", words), table(["not checked", "needs", "code"], rows, class_="words")]


def _codes(names: Sequence[str], between: str) -> Html:
    return join((element("code", name) for name in names), between)


def conventions_section(conventions: Conventions) -> Html:
    """The exponent of N* under every count of N and C, and the waterfall between them."""
    if conventions.reason:
        return section(
            "conventions-section",
            "How much do counting conventions matter?",
            element("p", as_sentence(conventions.reason)),
        )
    parts = [_conventions_figure(conventions)]
    if len(conventions.waterfall) > 1:
        parts.append(waterfall_figure(conventions.waterfall))
    absent = [element("p", f"The columns do not allow: {', '.join(conventions.absent)}.")] if conventions.absent else []
    return section("conventions-section", "How much do counting conventions matter?", *parts, *absent)


def _conventions_figure(conventions: Conventions) -> Html:
    exponents = [entry.exponent for entry in conventions.entries]
    title = _conventions_title(exponents)
    caption = (
        "Exponent a of N* ~ C^a when N and C are counted in each way. One law, fitted in the table's own count "
        f"({conventions.surface}), is used every time, so the differences are of counting alone. "
        "Lines: 90\u202f% intervals."
    )
    lines = [Line(f"N {_words(e.params)}; C {_words(e.compute)}", e.exponent, e.interval) for e in conventions.entries]
    panels = forest("conventions", lines, "exponent a of N* ~ C^a", title=title, described=caption)
    rows = [
        [
            _words(e.params),
            _words(e.compute),
            number(e.exponent, 3),
            interval(e.interval),
            significant(e.prefactor),
            count(e.largest.params),
        ]
        for e in conventions.entries
    ]
    heads = ["N", "C", "exponent", "90\u202f% interval", "prefactor", "N* at the largest C"]
    return figure("conventions", title, panels, caption, table(heads, rows, class_="numbers"))


def _conventions_title(exponents: Sequence[float]) -> str:
    low, high = number(min(exponents), 3), number(max(exponents), 3)
    if len(exponents) == 1:
        return f"The exponent of N* is {low} in the one count that the columns allow"
    if low == high:
        return f"Counting does not move the exponent of N*: it is {low} in all {len(exponents)} counts"
    return f"Counting alone moves the exponent of N* from {low} to {high}"


def _words(name: str) -> str:
    return name.replace("_", " ")


def waterfall_figure(
    steps: Sequence[Step], published: Sequence[float | None] = (), *, key: str = "waterfall", label: str = ""
) -> Html:
    """Each step's bar begins where the one before ended; `published` are others' values, in the order of the steps."""
    known = [step for step in steps if step.exponent is not None]
    others = [*published, *[None] * (len(steps) - len(published))]
    title = _waterfall_title(known)
    caption = (
        "Exponent a of N* ~ C^a. A bar runs from the step before to this one; the line is this step's interval."
        + (" Hollow: the published value." if any(other is not None for other in others) else "")
    )
    panels = forest(
        key, _waterfall_lines(steps, others), label or "exponent a of N* ~ C^a", title=title, described=caption
    )
    rows = [
        [
            step.name,
            number(step.exponent, 3),
            interval(step.interval),
            "" if step.change is None else number(step.change, 3),
            number(other, 3),
            number(step.parabola, 3),
            "" if step.budgets is None else f"{step.budgets} of {step.of_budgets}",
        ]
        for step, other in zip(steps, others, strict=True)
    ]
    heads = ["step", "exponent", "interval", "change", "published", "by parabolas", "budgets with a minimum"]
    return figure(key, title, panels, caption, table(heads, rows, class_="numbers"))


def _waterfall_lines(steps: Sequence[Step], others: Sequence[float | None]) -> list[Line]:
    before: float | None = None
    lines = []
    for step, other in zip(steps, others, strict=True):
        change = "" if step.change is None else f" ({step.change:+.3f})".replace("-", "−")
        text = "no exponent" if step.exponent is None else f"{number(step.exponent, 3)}{change}"
        text += f", published {number(other, 3)}" if other is not None else ""
        # A step without an exponent leaves a gap; the next bar begins where the last known one ended.
        start = step.exponent if before is None else before
        lines.append(Line(step.name, step.exponent, step.interval, text=text, start=start, beside=other))
        before = before if step.exponent is None else step.exponent
    return lines


def _waterfall_title(known: Sequence[Step]) -> str:
    if len(known) < 2:
        return "Too few steps with an exponent"
    largest = max(known, key=lambda step: abs(step.change or 0.0))
    return (
        f"From {number(known[0].exponent, 3)} to {number(known[-1].exponent, 3)}; the largest step, "
        f"{number(largest.change, 3)}, is: {largest.name}"
    )
