"""`foretoken count`: how often phrases stand in a corpus, and in how many of its texts."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from foretoken.cli.model_options import ColumnOption, EncodingOption
from foretoken.cli.options import JsonOption
from foretoken.cli.printing import print_json, print_table, print_text
from foretoken.cli.telling import wrote

if TYPE_CHECKING:
    from foretoken.data.counting import PhraseCounts

CorpusArgument = Annotated[
    Path, typer.Argument(metavar="TEXT|INDEX", help="A file or folder of text of any size, or an index made of it.")
]
PhraseOption = Annotated[
    list[str] | None, typer.Option("--phrase", help="What is counted; may be given several times.")
]
PhrasesOption = Annotated[
    Path | None,
    typer.Option("--phrases", metavar="FILE", help="A table with a column `phrase` and, for pairs, one `other`."),
]
WordsOption = Annotated[bool, typer.Option("--words", help="Whole words alone: 7 is not in 17.")]
IndexOption = Annotated[
    Path | None, typer.Option("--index", metavar="FOLDER", help="Keep an index here, which later counts are read from.")
]
OutOption = Annotated[Path | None, typer.Option("--out", "-o", metavar="FILE", help="Write the counts here (CSV).")]


def count(
    text: CorpusArgument,
    phrase: PhraseOption = None,
    phrases: PhrasesOption = None,
    words: WordsOption = False,
    index: IndexOption = None,
    column: ColumnOption = "text",
    encoding: EncodingOption = "utf-8",
    out: OutOption = None,
    json: JsonOption = False,
) -> None:
    """Count phrases in a corpus that may be larger than memory, exactly: matches, and texts that hold them.

    One pass counts all phrases; an index takes longer to make, and then answers at once. Matches may overlap.

    Example: foretoken count my_texts/ --phrase "bears met" --phrase 49 --words
    """
    from foretoken.data import count_phrases
    from foretoken.data.text_index import index_text

    asked, pairs = list(phrase or ()), list[tuple[str, str]]()
    if phrases is not None:
        more, pairs = _phrases_in(phrases)
        asked += more
    made = None if index is None else index_text(text, index, column=column, encoding=encoding)
    found = count_phrases(made or text, asked, pairs, words=words, column=column, encoding=encoding)
    if out is not None:
        from foretoken.store.atomic import write_output

        write_output(out, found.to_frame().to_csv(index=False).encode())
        wrote(out)
    if json:
        print_json(found.to_json())
    else:
        show(found)


def _phrases_in(path: Path) -> tuple[list[str], list[tuple[str, str]]]:
    """The phrases of a table, and its pairs."""
    from foretoken.errors import TableError
    from foretoken.runs.cells import as_word
    from foretoken.runs.files import read_frame

    # Read as a table of runs is, so that every kind of file will do.
    frame, _ = read_frame(path)
    if "phrase" not in frame:
        raise TableError(
            f"{path} has no column `phrase`", got=", ".join(map(str, frame.columns)), cure="name a column so"
        )
    asked = [as_word(cell) for cell in frame["phrase"]]
    other = [as_word(cell) for cell in frame["other"]] if "other" in frame else []
    return asked, [(one, two) for one, two in zip(asked, other, strict=False) if one and two]


def show(found: PhraseCounts) -> None:
    """Print the counts of phrases and of pairs."""
    from foretoken.fits.check import plural

    rows = [(one.phrase, str(one.count), str(one.documents)) for one in found.phrases]
    print_text(f"{found.source}: {plural(found.documents, 'text')}")
    if rows:
        print_table(("phrase", "matches", "texts"), rows)
    if found.pairs:
        print_table(
            ("phrase", "and", "texts with both"), [(*map(str, vars(one).values()),) for one in found.pairs], left=2
        )
