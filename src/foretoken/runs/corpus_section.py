"""The table `[corpus]` of a study file: what is read, and how it becomes tokens."""

from __future__ import annotations

import math
from typing import Annotated, Literal

from pydantic import Field, field_validator, model_validator

from foretoken.runs.section import Count, Section, is_encoding
from foretoken.runs.task_section import TaskSection

CorpusSource = Literal["python-stdlib", "text", "zipf_markov", "tasks"]
TokenizerKind = Literal["byte", "bpe", "wordpiece", "unigram", "file"]


class LanguageSection(Section):
    """A synthetic language (source `zipf_markov`)."""

    symbols: int = Field(default=64, ge=2, le=4096)
    order: int = Field(default=1, ge=1, le=4)
    """Symbols of the past that the next one depends on."""
    exponent: float = Field(default=1.0, gt=0.0, le=100.0)
    """Zipf exponent of the next symbol's distribution."""
    tokens: Annotated[Count, Field(le=1e12)] = 20e6
    """Length of the text."""


class CorpusSection(Section):
    """What is read, and how it becomes tokens."""

    source: CorpusSource = "python-stdlib"
    path: str | None = None
    """File or folder, for source `text`: plain text, .json, .jsonl, .csv, .tsv, .parquet; also .gz and .zst."""
    column: str = "text"
    """Column or key that holds the text in all of these but plain text."""
    encoding: str = "utf-8"
    """What files but .parquet are encoded in, as Python names it: gb18030, latin-1, ...; UTF-16 needs no name."""
    tokenizer: TokenizerKind = "byte"
    vocabulary: int = Field(default=512, ge=257, le=1_000_000)
    """Tokens of a tokenizer that is learned (bpe, wordpiece, unigram)."""
    tokenizer_file: str | None = None
    """A tokenizer.json of the package `tokenizers`, for tokenizer `file`."""
    separator: str | None = None
    """The token of such a file that ends a document, by its name; needed where it is in doubt."""
    validation_share: float = Field(default=0.05, gt=0.0, lt=0.5)
    """Share of documents that is held out, chosen by their hash."""
    repeat: bool = False
    """Whether runs may see tokens more than once."""
    language: LanguageSection = LanguageSection()
    tasks: list[TaskSection] = Field(default=[], max_length=100)
    """Tasks made by code: all of the text of source `tasks`; with other sources, their shares are mixed into it."""
    tokens: Annotated[Count, Field(ge=1000, le=1e12)] = 20e6
    """Length of the text of source `tasks`."""

    @model_validator(mode="after")
    def _shares_add_up(self) -> CorpusSection:
        alone, total = self.source == "tasks", sum(task.share for task in self.tasks)
        if alone != bool(self.tasks) and (alone or self.source == "zipf_markov"):
            raise ValueError(
                "`tasks` is needed by source 'tasks'" if alone else "a synthetic language takes no `tasks`"
            )
        if not alone and self.tokens != type(self).model_fields["tokens"].default:
            raise ValueError("`tokens` is for source 'tasks'; other text is as long as it is")
        if len({task.options for task in self.tasks}) < len(self.tasks):
            raise ValueError("`tasks` has one task twice: say one share for it")
        if alone and not (math.isclose(total, 1, abs_tol=1e-6) or total == 0):
            raise ValueError(f"the shares of `tasks` add up to {total:g}; let them add up to 1, or leave all out")
        unsaid = [task.name for task in self.tasks if not task.share]
        if unsaid and (total or not alone):
            raise ValueError(f"`tasks`: {', '.join(unsaid)} needs a `share` of the tokens, as {{ share = 0.2 }}")
        if not alone and total >= 1:
            raise ValueError(f"the shares of `tasks` add up to {total:g}, which leaves nothing of the other text")
        return self

    @property
    def task_shares(self) -> list[float]:
        """Share of each task of all tokens; where source `tasks` says none, all have the same."""
        return [task.share or 1 / len(self.tasks) for task in self.tasks]

    @model_validator(mode="after")
    def _text_has_a_path(self) -> CorpusSection:
        if (self.source == "text") != (self.path is not None):
            raise ValueError("`path` is needed by source 'text', and by no other source")
        return self

    @field_validator("encoding")
    @classmethod
    def _encoding_is_known(cls, name: str) -> str:
        if not is_encoding(name):
            raise ValueError(f"no such encoding: {name[:40]!r}; Python names them utf-8, gb18030, latin-1, ...")
        return name

    @model_validator(mode="after")
    def _file_has_a_name(self) -> CorpusSection:
        if (self.tokenizer == "file") != (self.tokenizer_file is not None):
            raise ValueError("`tokenizer_file` is needed by tokenizer 'file', and by no other tokenizer")
        if self.separator is not None and self.tokenizer_file is None:
            raise ValueError("`separator` is for tokenizer 'file'; every other tokenizer has its own")
        return self
