"""A tokenizer from a user's file: taken as it is, hashed into the corpus, refused where it cannot be used."""

from __future__ import annotations

import base64
import json
import os
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from foretoken.data import TokenizedCorpus, open_corpus, prepare_corpus
from foretoken.data.learning import learn
from foretoken.data.specials import special_ids
from foretoken.data.subword import read_tokenizer
from foretoken.data.tokenizer import tokenizer_from_json
from foretoken.errors import CorpusError, ForetokenError
from foretoken.runs.corpus_section import CorpusSection
from foretoken.runs.study_file import load_study

from ..fuzz.mutations import damaged, edited, json_text

TEXTS = [f"Story {n}: the {n % 13} bears met {n * n} foxes in wood {n % 7}.\n".encode() for n in range(300)]
FILES = ["bpe.json", "wordpiece.json", "unigram.json", "lower.json"]


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Tokenizers of the package, as somebody else may have made them."""
    folder = tmp_path_factory.mktemp("tokenizers")
    for kind, size in {"bpe": 300, "wordpiece": 520, "unigram": 290}.items():
        learn(kind, TEXTS, size).save(folder / f"{kind}.json")
    _as_bert(folder / "lower.json")
    return folder


def _as_bert(path: Path) -> None:
    """Lower case, blanks thrown away, unknown characters: what BERT does to a text."""
    from tokenizers import Tokenizer, decoders, models, normalizers, pre_tokenizers, trainers

    tokenizer = Tokenizer(models.WordPiece(unk_token="[UNK]"))
    tokenizer.normalizer = normalizers.BertNormalizer()
    tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    tokenizer.decoder = decoders.WordPiece()
    specials = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]
    trainer = trainers.WordPieceTrainer(vocab_size=200, special_tokens=specials, show_progress=False)
    tokenizer.train_from_iterator([text.decode() for text in TEXTS], trainer)
    tokenizer.enable_truncation(4)
    tokenizer.enable_padding(length=64)
    tokenizer.save(str(path))


def section(tmp_path: Path, file: Path, **changes: Any) -> CorpusSection:
    path = tmp_path / "stories.jsonl"
    lines = [json.dumps({"text": text.decode()}) + "\n" for text in [*TEXTS, "a žába".encode()]]
    path.write_text("".join(lines))
    os.utime(path, (1_600_000_000, 1_600_000_000))
    values = {"source": "text", "path": str(path), "tokenizer": "file", "tokenizer_file": str(file)}
    return CorpusSection.model_validate(values | {"validation_share": 0.2} | changes)


def prepared(tmp_path: Path, file: Path, **changes: Any) -> TokenizedCorpus:
    return prepare_corpus(section(tmp_path, file, **changes), tmp_path / "corpora", seed=0)


@pytest.mark.parametrize("name", FILES[:3])
def test_a_file_s_tokens_are_the_package_s(name: str, files: Path, tmp_path: Path) -> None:
    from tokenizers import Tokenizer

    corpus = prepared(tmp_path, files / name)
    theirs = Tokenizer.from_file(str(files / name))
    own = read_tokenizer(files / name)
    assert corpus.tokenizer == own.name
    assert (corpus.vocabulary, corpus.fixed_vocabulary) == (theirs.get_vocab_size(), True)
    assert corpus.separator == own.separator == theirs.token_to_id("<|endoftext|>" if name == "bpe.json" else "[SEP]")
    first = corpus.tokens("train")[: np.flatnonzero(corpus.tokens("train") == corpus.separator)[0]]
    assert theirs.encode(own.decode(first).decode(), add_special_tokens=False).ids == first.tolist()
    assert corpus.bytes_per_token is not None
    assert open_corpus(corpus.folder) == corpus


def test_bits_per_byte_need_a_tokenizer_that_loses_nothing(files: Path, tmp_path: Path) -> None:
    corpus = prepared(tmp_path, files / "lower.json")
    assert corpus.bytes_per_token is None
    counts = json.loads((corpus.folder / "manifest.json").read_text())["splits"]["validation"]
    assert counts["lost_documents"] == counts["documents"]
    ends = np.flatnonzero(corpus.tokens("train") == corpus.separator)
    assert 10 < np.median(np.diff(ends)) < 20  # truncation to 4 tokens and padding to 64 are left out


def test_special_tokens_are_the_file_s_own(files: Path, tmp_path: Path) -> None:
    corpus = prepared(tmp_path, files / "wordpiece.json")
    ids, vocabulary = special_ids(corpus.specials, corpus.vocabulary, corpus.fixed_vocabulary, ["[MASK]", "[PAD]"])
    assert (ids, vocabulary) == ({"[MASK]": 4, "[PAD]": 0}, corpus.vocabulary)
    without = prepared(tmp_path, files / "bpe.json")
    with pytest.raises(CorpusError, match=r"no \[MASK\]"):
        special_ids(without.specials, without.vocabulary, without.fixed_vocabulary, ["[MASK]"])


def test_content_and_separator_make_the_address_and_the_place_does_not(files: Path, tmp_path: Path) -> None:
    here = prepared(tmp_path, files / "bpe.json")
    (tmp_path / "copy.json").write_bytes((files / "bpe.json").read_bytes())
    assert prepared(tmp_path, tmp_path / "copy.json").address == here.address
    other_end = prepared(tmp_path, files / "bpe.json", separator="Ċ")
    values = json.loads((files / "bpe.json").read_text())
    values["added_tokens"] = []
    (tmp_path / "copy.json").write_text(json.dumps(values))
    other_file = prepared(tmp_path, tmp_path / "copy.json")
    assert len({here.address, other_end.address, other_file.address}) == 3


def test_the_separator_is_asked_for_where_it_is_in_doubt(files: Path, tmp_path: Path) -> None:
    learn("plain", TEXTS, 100).save(tmp_path / "plain.json")
    with pytest.raises(CorpusError, match=r"(?s)which token ends a document.*got: none of.*corpus\.separator"):
        prepared(tmp_path, tmp_path / "plain.json")
    assert prepared(tmp_path, tmp_path / "plain.json", separator="\n").separator is not None
    values = json.loads((files / "wordpiece.json").read_text())
    values["added_tokens"].append(values["added_tokens"][0] | {"id": 520, "content": "</s>"})
    (tmp_path / "two.json").write_text(json.dumps(values))
    with pytest.raises(CorpusError, match=r"(?s)which token.*got: </s>, \[SEP\]"):
        prepared(tmp_path, tmp_path / "two.json")
    assert prepared(tmp_path, tmp_path / "two.json", separator="</s>").separator == 520
    with pytest.raises(CorpusError, match=r"(?s)no such separator.*got: <end>"):
        prepared(tmp_path, tmp_path / "two.json", separator="<end>")


def test_dropout_is_left_out(files: Path, tmp_path: Path) -> None:
    values = json.loads((files / "bpe.json").read_text())
    values["model"]["dropout"] = 0.5
    (tmp_path / "dropout.json").write_text(json.dumps(values))
    with_dropout, without = read_tokenizer(tmp_path / "dropout.json"), read_tokenizer(files / "bpe.json")
    for one, other in zip(with_dropout.encode(TEXTS), without.encode(TEXTS), strict=True):
        np.testing.assert_array_equal(one, other)


@pytest.mark.parametrize("vocabulary", [2**8, 2**16, 2**16 + 1])
def test_wide_vocabularies_get_wide_tokens(vocabulary: int, files: Path, tmp_path: Path) -> None:
    values = json.loads((files / "bpe.json").read_text())
    number = max(vocabulary - 1, 300)
    values["added_tokens"].append(values["added_tokens"][0] | {"id": 300, "content": "<eos>"})
    values["model"]["vocab"] |= {"<eos>": number}
    values["added_tokens"][-1]["id"] = number
    (tmp_path / "wide.json").write_text(json.dumps(values))
    corpus = prepared(tmp_path, tmp_path / "wide.json", separator="<eos>")
    assert corpus.vocabulary == number + 1
    assert corpus.tokens("train").max() == number
    assert corpus.tokens("train").dtype.itemsize == (4 if vocabulary > 2**16 else 2)


BAD = {
    "empty": b"",
    "text": b"the cat",
    "list": b"[1, 2]",
    "no model": b'{"version": "1.0"}',
    "of another kind": b'{"model": {"type": "Magic", "vocab": {}}}',
    "no tokens": b'{"model": {"type": "BPE", "vocab": {}, "merges": []}}',
    "a pickle": b"\x80\x04\x95\x1e\x00\x00\x00\x00\x00\x00\x00\x8c\x05posix\x94\x8c\x06system\x94\x93\x94.",
    "nested": b'{"model": ' + b"[" * 100_000,
    "half a surrogate": b'{"model": {"type": "BPE", "vocab": {"\\ud800": 0, "b": 1}, "merges": []}}',
    "an id without end": b'{"model": {"type": "BPE", "vocab": {"</s>": 0, "b": 4294967295}, "merges": []}}',
    "a merge of nothing": b'{"model": {"type": "BPE", "vocab": {"</s>": 0}, "merges": [["x", "y"]]}}',
}


@pytest.mark.parametrize("content", BAD.values(), ids=BAD.keys())
def test_what_is_no_tokenizer_is_refused(content: bytes, tmp_path: Path) -> None:
    (tmp_path / "bad.json").write_bytes(content)
    with pytest.raises(CorpusError, match=r"(?s)expected: |got: "):
        prepared(tmp_path, tmp_path / "bad.json")


@pytest.mark.parametrize("place", ["nowhere.json", ".", "a\0b", "/dev/zero", "~nobody-of-this-name/x"])
def test_a_file_that_is_no_file_is_refused(place: str, tmp_path: Path) -> None:
    with pytest.raises(CorpusError):
        prepared(tmp_path, Path(place))


@settings(max_examples=40, derandomize=True, database=None, deadline=None, phases=[Phase.generate],
          suppress_health_check=list(HealthCheck))  # fmt: skip
@given(data=st.data(), name=st.sampled_from(FILES))
def test_hostile_files_are_refused_or_taken(
    data: st.DataObject, name: str, files: Path, tmp_path_factory: pytest.TempPathFactory
) -> None:
    sound = (files / name).read_bytes()
    changed = edited(json.loads(sound)).map(lambda value: json_text(value).encode("utf-8", "surrogatepass"))
    path = tmp_path_factory.mktemp("hostile") / "tokenizer.json"
    path.write_bytes(data.draw(changed | damaged(sound)))
    try:
        tokenizer = read_tokenizer(path, "[UNK]" if name == "lower.json" else None)
        for tokens in tokenizer.encode([b"", "the žába 汉 [UNK]".encode()]):
            assert tokens.max(initial=0) < tokenizer.vocabulary
            tokenizer.decode(tokens)
        assert tokenizer_from_json(tokenizer.to_json()).name == tokenizer.name
    except ForetokenError:
        return


def test_the_study_file_asks_for_a_file_where_one_is_needed(tmp_path: Path) -> None:
    for corpus in (
        'tokenizer = "file"',
        'tokenizer_file = "x.json"',
        'tokenizer = "bpe"\ntokenizer_file = "x.json"',
        'separator = "</s>"',
    ):
        path = tmp_path / "study.toml"
        path.write_text(f'name = "x"\n[corpus]\n{corpus}\n[design]\nbudgets = [1e9]\n')
        with pytest.raises(ForetokenError, match=r"is needed by tokenizer 'file'|is for tokenizer 'file'"):
            load_study(path)
    with pytest.raises(ValidationError):
        CorpusSection(tokenizer="morse")  # type: ignore[arg-type]


@pytest.mark.parametrize(("kind", "size"), [("wordpiece", 600), ("unigram", 300)])
def test_corpora_of_each_kind_learn_from_the_training_split_alone(kind: str, size: int, tmp_path: Path) -> None:
    changes = {"tokenizer": kind, "tokenizer_file": None, "vocabulary": size, "validation_share": 0.4}
    corpus = prepared(tmp_path, tmp_path / "none", **changes)
    tokenizer = tokenizer_from_json(json.loads((corpus.folder / "tokenizer.json").read_text()))
    tokens = corpus.tokens("train")
    ends = np.flatnonzero(tokens == corpus.separator)
    train = [tokenizer.decode(part[part != corpus.separator]) for part in np.split(tokens, ends + 1)[:-1]]
    assert learn(kind, train, size).name == corpus.tokenizer
    assert (corpus.vocabulary, corpus.fixed_vocabulary) == (size, False)
    assert special_ids(corpus.specials, size, False, ["[MASK]", "<extra_id_0>"]) == (
        {"[MASK]": 4, "<extra_id_0>": size},
        size + 1,
    )
    assert corpus.bytes_per_token is not None


def replacing(content: str, times: int = 1, **pattern: str) -> dict[str, Any]:
    """A sequence of parts that put a text in another's place."""
    part = {"type": "Replace", "pattern": pattern or {"String": "b"}, "content": content}
    return {"type": "Sequence", "normalizers": [part] * times, "decoders": [part] * times}


@pytest.mark.parametrize(
    "part",
    [
        {"normalizer": replacing("x" * 1000)},
        {"normalizer": replacing("bb", 30)},
        {"normalizer": replacing("x" * 1000, Regex="")},
        {"normalizer": {"type": "Prepend", "prepend": "b" * 100_000}},
        {"normalizer": {"type": "Sequence", "normalizers": [replacing("b")] * 200}},
        {
            "normalizer": {
                "type": "Precompiled",
                "precompiled_charsmap": base64.b64encode(bytes(4) + b"y" * 999).decode(),
            }
        },
        {"decoder": replacing("bb", 30)},
    ],
)
def test_a_tokenizer_that_multiplies_texts_is_refused(part: dict[str, Any], files: Path, tmp_path: Path) -> None:
    values = json.loads((files / "bpe.json").read_text())
    (tmp_path / "t.json").write_text(json.dumps({**values, "normalizer": replacing("bb", 3)}))
    read_tokenizer(tmp_path / "t.json")
    (tmp_path / "t.json").write_text(json.dumps(values | part))
    with pytest.raises(CorpusError, match="multiplies texts"):
        read_tokenizer(tmp_path / "t.json")


def test_a_text_of_long_tokens_is_bounded(files: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    tokenizer = read_tokenizer(files / "bpe.json")
    monkeypatch.setattr("foretoken.data.subword.LONGEST_TEXT", 100)
    with pytest.raises(CorpusError, match="the text of 200 tokens is too large"):
        tokenizer.decode(np.full(200, 5))
