"""`foretoken tokenizer train | show`: learn a tokenizer, and see its tokens and how it splits text."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from foretoken.cli.model_options import ColumnOption, EncodingOption
from foretoken.cli.options import FolderOption, JsonOption, SeedOption, folder_of, load
from foretoken.cli.printing import print_json, print_text
from foretoken.cli.telling import wrote
from foretoken.errors import CorpusError, legible
from foretoken.escapes import command

if TYPE_CHECKING:
    from foretoken.data.tokenized import TokenizedCorpus
    from foretoken.data.tokenizer_measures import TokenizerDescription

TRAIN = "Example: foretoken tokenizer train --text aaabdaaabac --kind plain --vocabulary 7 -o textbook.json"
SHOW = "Example: foretoken tokenizer show textbook.json --text aaabdaaabac"

tokenizer = typer.Typer(
    help="Learn a tokenizer from text, and show its tokens and how it splits text.",
    epilog=TRAIN,
    no_args_is_help=True,
)


@tokenizer.command(epilog=TRAIN)
def train(
    sources: Annotated[
        list[Path] | None,
        typer.Argument(metavar="TEXT...", help="Files and folders of text, or a study file: its training split."),
    ] = None,
    text: Annotated[str, typer.Option(help="Learn from this text.")] = "",
    kind: Annotated[
        str, typer.Option(help="bpe, wordpiece, unigram, byte, or plain (bpe of characters, without words).")
    ] = "bpe",
    vocabulary: Annotated[int | None, typer.Option(help="Number of tokens; 512 unless given.")] = None,
    column: ColumnOption = "text",
    encoding: EncodingOption = "utf-8",
    out: Annotated[Path, typer.Option("-o", "--out", help="Write the tokenizer here.")] = Path("tokenizer.json"),
    json: JsonOption = False,
) -> None:
    """Learn a tokenizer of exactly that many tokens, and write it as a file of the package `tokenizers`.

    corpus.tokenizer = "file" takes such a file, and so does transformers.
    """
    from foretoken.data.tokenizer_files import train_tokenizer
    from foretoken.data.tokenizer_measures import describe_tokenizer

    texts = [load(path) if path.suffix == ".toml" else path for path in sources or []]
    learned = train_tokenizer(*texts, text=text, kind=kind, vocabulary=vocabulary, column=column, encoding=encoding)
    learned.save(out)
    wrote(out)
    description = describe_tokenizer(learned)
    if json:
        print_json({**description.to_json(), "path": str(out)})
        return
    _print_tokens(description)


@tokenizer.command(epilog=SHOW)
def show(
    source: Annotated[
        Path,
        typer.Argument(
            metavar="TOKENIZER|STUDY", help="A tokenizer.json or a folder with one, a study file, or a study's folder."
        ),
    ],
    text: Annotated[str, typer.Option(help="Split this text.")] = "",
    first: Annotated[int, typer.Option("--merges", min=0, help="Merges, scores and longest tokens to list.")] = 20,
    seed: SeedOption = None,
    folder: FolderOption = None,
    json: JsonOption = False,
) -> None:
    """Show merges in order, scores, the longest tokens, and how a text is split: a study's held-out text unless given.

    Prints bytes per token, fertility (tokens per word, where blanks separate words) and the share of unknown tokens.
    """
    from foretoken.data.tokenizer_files import describe_corpus, load_tokenizer
    from foretoken.data.tokenizer_measures import describe_tokenizer

    corpus = _corpus_of(source, seed, folder)
    if corpus is not None and not text:
        description = describe_corpus(corpus, first)
    else:
        description = describe_tokenizer(load_tokenizer(corpus.folder if corpus else source), text or (), first)
    if json:
        print_json(description.to_json())
        return
    _print_tokens(description)
    _print_text(description)


def _corpus_of(source: Path, seed: int | None, folder: Path | None) -> TokenizedCorpus | None:
    """The tokenised corpus of a study; None when the source is a tokenizer's file, or a folder with one."""
    from foretoken.data import find_corpus, open_corpus
    from foretoken.data.tokenizer import TOKENIZER
    from foretoken.study.design_file import read_design_file

    if (source / TOKENIZER).is_file() or (source.suffix != ".toml" and not source.is_dir()):
        return None
    home = folder_of(source, seed, folder)
    if source.suffix == ".toml":
        study = load(source, seed)
        corpus = find_corpus(study.corpus, home.parent / "corpora", study.seed)
    else:
        design = read_design_file(home)
        corpus_folder = home.parent / "corpora" / str(design.corpus.address if design and design.corpus else None)
        corpus = open_corpus(corpus_folder) if corpus_folder.is_dir() else None
    if corpus is None:
        raise CorpusError(
            f"the corpus of {source} has not been tokenised, or its text has changed since",
            expected="a tokenizer.json, a folder with one, or a study that has been run",
            got=str(source),
            cure=command("run", source) if source.suffix == ".toml" else "run its study, or give another folder",
        )
    return corpus


def _print_tokens(description: TokenizerDescription) -> None:
    specials = ", ".join(f"{_shown(name)} {token}" for name, token in description.specials.items())
    print_text(f"{description.name}: {description.vocabulary} tokens" + (f"; special: {specials}" if specials else ""))
    for number, merge in enumerate(description.merges, 1):
        print_text(f"merge {number}: {_shown(merge.left)} {_shown(merge.right)} -> {_shown(merge.token)} ({merge.id})")
    for scored in description.scores:
        print_text(f"score {scored.score:.3f}: {_shown(scored.token)} ({scored.id})")
    if description.longest:
        sizes = (f"{_shown(piece.token)} ({piece.bytes} bytes)" for piece in description.longest)
        print_text("longest: " + "  ".join(sizes))


def _shown(token: str) -> str:
    """A token as it can be printed on a terminal; a foreign one may hold control characters."""
    return legible(token, 60)


def _print_text(description: TokenizerDescription) -> None:
    if description.pieces:
        print_text("tokens: " + "  ".join(f"{_shown(piece.token)} ({piece.id})" for piece in description.pieces))
    text = description.text
    if text is None or not text.tokens:
        return
    print_text(
        f"{text.bytes} bytes, {text.words} words, {text.tokens} tokens: {text.bytes_per_token:.3f} bytes per token"
        + ("" if text.fertility is None else f", fertility {text.fertility:.3f} tokens per word")
        + f", {text.unknown_share:.2%} unknown"
    )
    if text.unchanged_share < 1:
        print_text(
            f"{1 - text.unchanged_share:.2%} of the texts do not come back unchanged from their tokens, so bits per"
            " byte are not given: they would be too low"
        )
