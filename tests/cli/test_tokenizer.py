"""`foretoken tokenizer train | show`."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

import foretoken as ft
from foretoken.cli import app
from foretoken.errors import ForetokenError

STUDY = """
name = "own"
[corpus]
source = "text"
path = "bears"
tokenizer = "{kind}"
vocabulary = 520
{more}
[design]
budgets = [1e8]
"""


@pytest.fixture(autouse=True)
def bears(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A folder of text, where we are."""
    (tmp_path / "bears").mkdir()
    for number in range(200):
        text = f"{number} bears met {number**2} foxes in wood {number % 7}, où il était une fois.\n"
        (tmp_path / "bears" / f"{number}.txt").write_text(text * 3)
        os.utime(tmp_path / "bears" / f"{number}.txt", (1_600_000_000, 1_600_000_000))
    monkeypatch.chdir(tmp_path)


def told(*words: str) -> str:
    result = CliRunner().invoke(app, ["tokenizer", *words], catch_exceptions=False)
    assert result.exit_code == 0, result.output
    return result.stdout


def keys(*words: str) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(told(*words, "--json"))
    return found


def test_the_textbook_example_as_text_and_as_json() -> None:
    told("train", "--text", "aaabdaaabac", "--kind", "plain", "--vocabulary", "7", "-o", "textbook.json")
    text = told("show", "textbook.json", "--text", "aaabdaaabac")
    for line in ("merge 1: a a -> aa", "merge 2: a b -> ab", "merge 3: aa ab -> aaab"):
        assert line in text
    assert "tokens: aaab (6)  d (3)  aaab (6)  a (0)  c (2)" in text
    assert "11 bytes, 1 words, 5 tokens: 2.200 bytes per token, fertility 5.000" in text
    found = keys("show", "textbook.json", "--text", "aaabdaaabac")
    assert [(one["left"], one["right"]) for one in found["merges"]] == [("a", "a"), ("a", "b"), ("aa", "ab")]
    assert [one["id"] for one in found["pieces"]] == [6, 3, 6, 0, 2]


@pytest.mark.parametrize(("kind", "tokens"), [("byte", 256), ("bpe", 300), ("wordpiece", 520), ("unigram", 270)])
def test_what_is_learned_is_written_and_shown(kind: str, tokens: int) -> None:
    size = [] if kind == "byte" else ["--vocabulary", str(tokens)]
    learned = keys("train", "bears", "--kind", kind, *size, "-o", "own.json")
    assert (learned["vocabulary"], learned["path"]) == (tokens, "own.json")
    assert bool(learned["merges"]) == (kind == "bpe")
    assert bool(learned["scores"]) == (kind == "unigram")
    found = keys("show", "own.json", "--text", "7 bears ## met žába")
    text = found["text"]
    assert (text["bytes"], text["words"], text["unknown_share"], text["unchanged_share"]) == (21, 5, 0, 1)
    assert text["tokens"] == len(found["pieces"])
    assert text["bytes_per_token"] == pytest.approx(21 / text["tokens"])
    assert text["fertility"] == pytest.approx(text["tokens"] / 5)
    sizes = [one["bytes"] for one in found["longest"]]
    assert sizes == sorted(sizes, reverse=True)
    assert told("show", "own.json", "--text", "x").startswith("file-")


def test_what_is_written_opens_in_the_package_and_cuts_alike() -> None:
    from tokenizers import Tokenizer

    for kind, tokens in (("bpe", 300), ("wordpiece", 520), ("unigram", 270), ("byte", 256)):
        learned = ft.train_tokenizer("bears", kind=kind, vocabulary=tokens)
        learned.save("own.json")
        theirs, text = Tokenizer.from_file("own.json"), "9 bears ## était ž"
        ids = theirs.encode(text, add_special_tokens=False).ids
        assert (
            ids
            == learned.encode([text.encode()])[0].tolist()
            == ft.load_tokenizer("own.json").encode([text.encode()])[0].tolist()
        )
        assert theirs.decode(ids, skip_special_tokens=False) == text


def test_a_study_shows_its_held_out_text() -> None:
    from foretoken.data import prepare_corpus
    from foretoken.runs.study_file import load_study

    Path("own.toml").write_text(STUDY.format(kind="wordpiece", more=""))
    with pytest.raises(ForetokenError, match=r"(?s)not been tokenised.*foretoken run own\.toml"):
        told("show", "own.toml")
    corpus = prepare_corpus(load_study("own.toml").corpus, Path("runs") / "corpora", 0)
    found = keys("show", "own.toml", "--merges", "3")
    assert (found["name"], found["text"]["bytes"]) == (corpus.tokenizer, corpus.validation_bytes)
    assert found["text"]["tokens"] + found["text"]["texts"] == corpus.validation_tokens
    assert found["pieces"] == []
    assert len(found["longest"]) == 3
    assert keys("show", "own.toml", "--text", "bears")["pieces"]
    assert keys("show", f"runs/corpora/{corpus.address}/tokenizer.json")["name"] == corpus.tokenizer


def test_a_folder_with_a_tokenizer_is_shown() -> None:
    """A model's folder, and a tokenised corpus."""
    from foretoken.data import prepare_corpus
    from foretoken.runs.study_file import load_study

    told("train", "bears", "--vocabulary", "300", "-o", "own.json")
    Path("model").mkdir()
    Path("own.json").rename("model/tokenizer.json")
    Path("model/config.json").write_text('{"model_type": "gpt2"}')
    found = keys("show", "model", "--text", "7 bears")
    assert found == keys("show", "model/tokenizer.json", "--text", "7 bears")
    assert found["vocabulary"] == 300
    assert ft.load_tokenizer("model").vocabulary == 300
    Path("own.toml").write_text(STUDY.format(kind="bpe", more=""))
    corpus = prepare_corpus(load_study("own.toml").corpus, Path("runs") / "corpora", 0)
    assert keys("show", str(corpus.folder))["name"] == corpus.tokenizer


def test_a_study_s_tokenizer_is_learned_from_its_training_split() -> None:
    from foretoken.data import prepare_corpus
    from foretoken.runs.study_file import load_study

    Path("own.toml").write_text(STUDY.format(kind="bpe", more="validation_share = 0.2"))
    corpus = prepare_corpus(load_study("own.toml").corpus, Path("runs") / "corpora", 0)
    assert keys("train", "own.toml", "--vocabulary", "520")["name"] == corpus.tokenizer
    assert keys("train", "bears", "--vocabulary", "520")["name"] != corpus.tokenizer


def test_loss_of_text_is_told() -> None:
    told("train", "--text", "abc", "--kind", "plain", "--vocabulary", "3", "-o", "abc.json")
    text = told("show", "abc.json", "--text", "abcd")
    assert "100.00% of the texts do not come back unchanged" in text
    Path("own.toml").write_text(STUDY.format(kind="file", more='tokenizer_file = "abc.json"\nseparator = "c"'))
    from foretoken.data import prepare_corpus
    from foretoken.runs.study_file import load_study

    prepare_corpus(load_study("own.toml").corpus, Path("runs") / "corpora", 0)
    assert keys("show", "own.toml")["text"]["unchanged_share"] == 0


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["train"], "nothing to learn"),
        (["train", "nowhere"], "corpus is missing"),
        (["train", "bears", "--kind", "morse"], "no such kind"),
        (["train", "bears", "--kind", "byte", "--vocabulary", "300"], "has 256 tokens"),
        (["train", "bears", "--vocabulary", "100000"], "larger than the text can give"),
        (["train", "bears", "--kind", "wordpiece"], "set corpus.vocabulary"),
        (["show", "nowhere.json"], "the tokenizer is missing"),
        (["show", "bears/1.txt"], "is no tokenizer"),
        (["show", "bears"], "not been tokenised"),
    ],
)
def test_bad_input_is_refused(words: list[str], message: str) -> None:
    if "wordpiece" in words:
        words = [*words, "--vocabulary", "300"]
    with pytest.raises(ForetokenError, match=message):
        told(*words)


def test_names_that_steer_a_terminal_are_shown_as_text() -> None:
    learned = ft.train_tokenizer(text="ab\x1b[2J" * 4, kind="plain", vocabulary=7)
    learned.save("own.json")
    assert "\x1b" not in told("show", "own.json", "--text", "\x1b[2J")


def test_text_in_another_encoding_is_named_and_learned_from(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_bytes(("预训练语言模型。\n" * 40).encode("gb18030"))
    refused = CliRunner().invoke(app, ["tokenizer", "train", "a.txt"])
    assert "--encoding" in str(refused.exception)
    told("train", "a.txt", "--encoding", "gb18030", "--vocabulary", "270", "-o", "t.json")
    assert "2 tokens: 3.000 bytes per token" in told("show", "t.json", "--text", "语言")
    assert ft.train_tokenizer("a.txt", vocabulary=270, encoding="gb18030").vocabulary == 270
    with pytest.raises(ForetokenError, match="no such encoding"):
        ft.train_tokenizer("a.txt", encoding="utf-99")
