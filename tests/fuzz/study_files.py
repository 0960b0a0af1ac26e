"""Study files, and the design that follows from each."""

from __future__ import annotations

import json
from contextlib import suppress
from pathlib import Path

from hypothesis import strategies as st

from . import samples
from .mutations import NUMBERS, damaged, edited, toml_text
from .verbs import strict_json

_MINI, _LADDER = (toml_text(study).encode() for study in (samples.STUDY, samples.LADDER))
STUDY_TEXTS = st.one_of(
    edited(samples.STUDY).filter(lambda v: isinstance(v, dict)).map(toml_text),
    edited(samples.STUDY, edits=1).filter(lambda v: isinstance(v, dict)).map(toml_text),
    edited(samples.LADDER, edits=1).filter(lambda v: isinstance(v, dict)).map(toml_text),
    edited(samples.OWN_TRAINER, edits=1).filter(lambda v: isinstance(v, dict)).map(toml_text),
    edited(samples.STUDY, odd=st.sampled_from(NUMBERS), edits=2).filter(lambda v: isinstance(v, dict)).map(toml_text),
).map(lambda text: text.encode("utf-8", "surrogatepass"))
STUDY_BYTES = st.one_of(
    STUDY_TEXTS,
    STUDY_TEXTS,
    damaged(_MINI),
    damaged(_LADDER),
    st.binary(max_size=300),
    st.sampled_from(
        [
            b"a = " + b"[" * 100_000,
            b"a = " + b"{a=" * 50_000,
            b"[" + b"a." * 50_000 + b"a]",
            b"a." * 20_000 + b"a = 1",
            b"x" * 100_000 + b" = 1",
            b"name = '" + b"x" * 100_000 + b"'",
            _MINI + b"#" * (2**18),
            b"\xef\xbb\xbf" + _MINI,
            _MINI.replace(b"\n", b"\r\n"),
            b"".join(b"k%d = 1\n" % n for n in range(10_000)),
            b"[design]\nbudgets = [" + b"1e9," * 100_000 + b"]\n",
            b"name = 'a'\n[design]\nbudgets = [" + b"".join(b"%de6," % n for n in range(1000, 3000)) + b"]\n",
        ]
    ),
)


def read_study(content: bytes, folder: Path) -> None:
    """A study file, and the design that follows from it."""
    from foretoken.designs import Recipe, TokenSource, make_design
    from foretoken.designs.own_recipe import own_recipe
    from foretoken.own_trainer.job import words
    from foretoken.runs.study_file import load_study

    (folder / "study.toml").write_bytes(content)
    study = load_study(folder / "study.toml")
    if study.trainer:
        recipe = own_recipe(study, "c0de")
        design = make_design(recipe, 1)
        for run in design.all_runs:
            with suppress(ValueError):  # which is a DesignError of the study, see own_runner.py
                assert all(isinstance(word, str) for word in words(study.trainer, run, folder, goes_on=True))
        strict_json(json.dumps(design.to_json()))
        return
    source = TokenSource(address="c0ffee", tokenizer="byte", eval_set="v", vocabulary=256, train_tokens=10**7)
    design = make_design(Recipe(study=study, source=source, torch_version="2.13.0", bfloat16=False), 2)
    strict_json(json.dumps(design.to_json()))
    assert (Path("runs") / study.name).resolve().parent == Path("runs").resolve()
