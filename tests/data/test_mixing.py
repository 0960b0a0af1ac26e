"""Tasks in a corpus: shares of the tokens, alone or in a text; what is counted; what is refused."""

from __future__ import annotations

import re
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from foretoken.data.corpus import documents
from foretoken.data.corpus_tasks import MENTIONS, corpus_tasks
from foretoken.data.mixing import bytes_and_end
from foretoken.data.packing import find_corpus, prepare_corpus
from foretoken.data.tokenized import TokenizedCorpus, read_manifest
from foretoken.errors import StudyFileError, TaskError
from foretoken.runs.corpus_section import CorpusSection
from foretoken.runs.study_file import Study, load_study
from foretoken.runs.task_section import DEFAULTS
from foretoken.store import atomic
from foretoken.tasks.maker import Maker
from foretoken.tasks.makers import Facts

FACTS = {"name": "facts", "facts": 10, "most": 200}


def corpus_of(**keys: Any) -> CorpusSection:
    return CorpusSection.model_validate(keys)


def decoded(corpus: TokenizedCorpus, split: str) -> str:
    return bytes(corpus.tokens(split)).decode()


@pytest.fixture
def text(tmp_path: Path) -> Path:
    (tmp_path / "texts").mkdir()
    for number in range(400):
        (tmp_path / "texts" / f"{number:03}").write_text(f"{number} bears met foxes.\n" * (20 + number % 50))
    return tmp_path / "texts"


@settings(max_examples=20, deadline=None)
@given(cut=st.integers(1, 9), validation=st.sampled_from([0.02, 0.1, 0.4]), seed=st.integers(0, 9))
def test_shares_hold_in_every_beginning_of_each_split(cut: int, validation: float, seed: int) -> None:
    shares = {"copy": cut / 10, "facts": 1 - cut / 10}
    tasks = [{"name": name, "share": share} for name, share in shares.items()]
    corpus = corpus_of(source="tasks", tokens=60_000, tasks=tasks, validation_share=validation)
    tokens: dict[str, Counter[str]] = {"train": Counter(), "validation": Counter()}
    for document in documents(corpus, seed):
        counts = tokens[str(document.split)]
        counts[document.task] += bytes_and_end(document.text)
        for name, share in shares.items():
            assert abs(counts[name] - share * counts.total()) < 800, "two documents at most"
    assert tokens["train"].total() == pytest.approx(60_000 * (1 - validation), abs=800)
    assert tokens["validation"].total() == pytest.approx(60_000 * validation, abs=800)


def test_tasks_have_their_shares_between_the_documents_of_a_text(text: Path) -> None:
    tasks = [{"name": "addition", "share": 0.25}, {"name": "sort", "share": 0.1}]
    mixed = list(documents(corpus_of(source="text", path=str(text), tasks=tasks)))
    plain = list(documents(corpus_of(source="text", path=str(text))))
    assert [document for document in mixed if not document.task] == plain
    train = [document for document in mixed if document.split_at(0.05) == "train"]
    for end in (len(train) // 4, len(train) // 2, len(train)):
        counts = Counter[str]()
        for document in train[:end]:
            counts[document.task] += bytes_and_end(document.text)
        assert counts["addition"] / counts.total() == pytest.approx(0.25, rel=0.05 if end < len(train) else 0.01)
        assert counts["sort"] / counts.total() == pytest.approx(0.1, rel=0.05 if end < len(train) else 0.01)


@pytest.mark.parametrize("tokenizer", ["byte", "bpe"])
def test_what_was_written_is_counted_in_tokens(tokenizer: str, text: Path, tmp_path: Path) -> None:
    tasks = [{"name": "reverse", "share": 0.3}]
    section = corpus_of(source="text", path=str(text), tasks=tasks, tokenizer=tokenizer, vocabulary=300)
    corpus = prepare_corpus(section, tmp_path / "made", 0)
    (train,) = [made for made in read_manifest(corpus.folder).made if made.split == "train"]
    assert train.tokens / corpus.train_tokens == pytest.approx(0.3, rel=0.01)
    if tokenizer == "byte":
        lines = [document for document in decoded(corpus, "train").split("\0") if document.startswith("reverse ")]
        assert (len(lines), sum(len(line) + 1 for line in lines)) == (train.documents, train.tokens)


def test_the_address_follows_options_seed_and_shares(tmp_path: Path) -> None:
    def address(seed: int = 0, **keys: Any) -> str:
        tasks = [{"name": "copy", "share": 0.5}, {"name": "addition", "digits": 2, "share": 0.5}]
        return prepare_corpus(
            corpus_of(**{"source": "tasks", "tokens": 20_000, "tasks": tasks, **keys}), tmp_path, seed
        ).address

    sums = {"name": "addition", "digits": 3, "share": 0.5}
    others = [
        address(seed=1),
        address(tokens=21_000),
        address(tasks=[{"name": "copy", "share": 0.5}, sums]),
        address(tasks=[{"name": "copy", "share": 0.4}, {**sums, "share": 0.6}]),
    ]
    assert len({address(), address(), *others}) == 5
    assert find_corpus(corpus_of(source="tasks", tokens=20_000, tasks=[{"name": "copy"}]), tmp_path, 0) is None


def test_counts_are_those_of_the_text_that_was_written(text: Path, tmp_path: Path) -> None:
    tasks = [{**FACTS, "share": 0.4}, {"name": "copy", "share": 0.1}]
    corpus = prepare_corpus(corpus_of(source="text", path=str(text), tasks=tasks), tmp_path / "made", 7)
    facts, copy = corpus_tasks(corpus.folder, questions=10)
    train = decoded(corpus, "train")
    counts = [question.count for question in facts.questions]
    assert counts == [train.count(question.document) for question in facts.questions]
    assert 0 < min(filter(None, counts)) < 50 < 1000 < max(filter(None, counts))
    assert {question.count for question in copy.questions} == {None}
    assert not any(question.prompt in train for task in (facts, copy) for question in task.questions)


def test_mentions_are_counted_once_and_again_where_that_is_lost(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    tasks = [{"name": "operands", "digits": 1}, FACTS, {"name": "copy"}]
    corpus = prepare_corpus(corpus_of(source="tasks", tokens=50_000, tasks=tasks), tmp_path, 0)
    kept = corpus.folder / MENTIONS
    with monkeypatch.context() as patched:
        patched.setattr(Maker, "mentions", None)
        patched.setattr(Facts, "mentions", None)
        found = corpus_tasks(corpus.folder)
    kept.write_bytes(kept.read_bytes().replace(b"1", b"2", 1))
    assert corpus_tasks(corpus.folder) == found
    kept.unlink()
    assert corpus_tasks(corpus.folder) == found
    plain = prepare_corpus(corpus_of(source="tasks", tokens=20_000, tasks=[{"name": "copy"}]), tmp_path, 0)
    assert not (plain.folder / MENTIONS).exists()


def test_tasks_of_another_version_are_refused(tmp_path: Path) -> None:
    corpus = prepare_corpus(corpus_of(source="tasks", tokens=20_000, tasks=[FACTS]), tmp_path, 0)
    manifest = read_manifest(corpus.folder)
    manifest.settings_json["tasks_version"] = 0
    (corpus.folder / "manifest.json").write_bytes(atomic.checksummed_json(manifest.to_json()))
    with pytest.raises(TaskError, match="another version"):
        corpus_tasks(corpus.folder)


@pytest.mark.parametrize(
    ("keys", "words"),
    [
        ({"source": "tasks"}, "needed by source 'tasks'"),
        ({"source": "zipf_markov", "tasks": [{"name": "copy", "share": 0.1}]}, "takes no `tasks`"),
        ({"tokens": "3M"}, "`tokens` is for source 'tasks'"),
        ({"tasks": [{"name": "copy"}]}, "copy needs a `share`"),
        ({"tasks": [{"name": "copy", "share": 0.6}, {"name": "sort", "share": 0.4}]}, "leaves nothing"),
        ({"source": "tasks", "tasks": [{"name": "copy", "share": 0.6}]}, "add up to 0.6"),
        ({"source": "tasks", "tasks": [{"name": "copy", "share": 0.6}, {"name": "sort"}]}, "add up to 0.6"),
        ({"tasks": [{"name": "copy", "share": 0.1}, {"name": "copy", "share": 0.2}]}, "one task twice"),
        ({"tasks": [{"name": "copi", "share": 0.1}]}, "did you mean 'copy'"),
        ({"tasks": [{"name": "copy", "digits": 3, "share": 0.1}]}, "`digits` has no effect on the task copy"),
        ({"tasks": [{"name": "copy", "share": 0}]}, "greater than 0"),
    ],
)
def test_what_cannot_be_mixed_is_refused(keys: dict[str, Any], words: str) -> None:
    with pytest.raises(ValidationError, match=re.escape(words)):
        corpus_of(**keys)


@pytest.mark.parametrize("name", sorted(DEFAULTS))
def test_a_study_keeps_its_tasks_in_its_folder(name: str) -> None:
    tasks = [{"name": name, "share": 0.1}, {"name": "recall", "pairs": 3, "share": 0.2}]
    study = Study.model_validate({"name": "a", "corpus": {"tasks": tasks}, "design": {"budgets": [1e11]}})
    assert Study.model_validate_json(study.model_dump_json()) == study
    alone = corpus_of(source="tasks", tasks=[{"name": name}])
    assert corpus_of(**alone.model_dump()) == alone


def test_a_misspelled_option_in_a_study_file_shows_the_right_one(tmp_path: Path) -> None:
    path = tmp_path / "a.toml"
    path.write_text(
        'name = "a"\n[corpus]\ntasks = [{ name = "copy", lenght = 3, share = 0.1 }]\n[design]\nbudgets = [1e11]\n'
    )
    with pytest.raises(StudyFileError, match="did you mean 'length'"):
        load_study(path)
