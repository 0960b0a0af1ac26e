"""`foretoken tokenizer train | show`: learn a tokenizer, and see what one has learned and how it cuts text."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from foretoken.cli.options import FolderOption, JsonOption, SeedOption, folder_of, load, print_json
from foretoken.errors import CorpusError, legible

if TYPE_CHECKING:
    from foretoken.data.tokenized import TokenizedCorpus

TRAIN = "Example: foretoken tokenizer train --text aaabdaaabac --kind plain --vocabulary 7 -o textbook.json"
SHOW = "Example: foretoken tokenizer show textbook.json --text aaabdaaabac"

tokenizer = typer.Typer(
    help="Learn a tokenizer from text, and see what a tokenizer has learned and how it cuts text.",
    epilog=TRAIN,
    no_args_is_help=True,
)


@tokenizer.command(epilog=TRAIN)
def train(
    sources: Annotated[
        list[Path] | None,
        typer.Argument(metavar="TEXT...", help="Files and folders of text, or a study file: its training split."),
    ] = None,
    text: Annotated[str, typer.Option(help="Learn from these words.")] = "",
    kind: Annotated[
        str, typer.Option(help="bpe, wordpiece, unigram, byte, or plain: bpe of characters, without words.")
    ] = "bpe",
    vocabulary: Annotated[int | None, typer.Option(help="Number of tokens; 512 unless given.")] = None,
    column: Annotated[str, typer.Option(help="Column of .jsonl and .parquet that holds the text.")] = "text",
    out: Annotated[Path, typer.Option("-o", "--out", help="Write the tokenizer here.")] = Path("tokenizer.json"),
    json: JsonOption = False,
) -> None:
    """Learn a tokenizer of exactly that many tokens, and write it as a file of the package `tokenizers`.

    corpus.tokenizer = "file" takes such a file, and so does transformers.
    """
    from foretoken.data.tokenizer_files import train_tokenizer
    from foretoken.data.tokenizer_measures import describe_tokenizer

    given = [load(path) if path.suffix == ".toml" else path for path in sources or []]
    learned = train_tokenizer(*given, text=text, kind=kind, vocabulary=vocabulary, column=column)
    learned.save(out)
    found = describe_tokenizer(learned)
    if json:
        print_json(found | {"path": str(out)})
        return
    _print_tokens(found)
    typer.echo(f"wrote {out}")


@tokenizer.command(epilog=SHOW)
def show(
    source: Annotated[
        Path,
        typer.Argument(
            metavar="TOKENIZER|STUDY", help="A tokenizer.json or a folder with one, a study file, or a study's folder."
        ),
    ],
    text: Annotated[str, typer.Option(help="Cut these words.")] = "",
    first: Annotated[int, typer.Option("--merges", min=0, help="Merges, scores and longest tokens to list.")] = 20,
    seed: SeedOption = None,
    folder: FolderOption = None,
    json: JsonOption = False,
) -> None:
    """Show merges in order, scores, the longest tokens, and how text is cut; a study's held-out text unless given.

    bytes per token; fertility: tokens per word, a word being what blanks separate; the share of unknown tokens.
    """
    from foretoken.data.tokenizer_files import describe_corpus, load_tokenizer
    from foretoken.data.tokenizer_measures import describe_tokenizer

    corpus = _corpus_of(source, seed, folder)
    if corpus is not None and not text:
        found = describe_corpus(corpus, first)
    else:
        found = describe_tokenizer(load_tokenizer(corpus.folder if corpus else source), text or (), first)
    if json:
        print_json(found)
        return
    _print_tokens(found)
    _print_text(found)


def _corpus_of(source: Path, seed: int | None, folder: Path | None) -> TokenizedCorpus | None:
    """The tokenised corpus of a study; None when it is a tokenizer's file that is given, or a folder with one."""
    from foretoken.data import find, open_corpus
    from foretoken.data.tokenizer_files import TOKENIZER
    from foretoken.study.results import read_plan

    if (source / TOKENIZER).is_file() or (source.suffix != ".toml" and not source.is_dir()):
        return None
    home = folder_of(source, seed, folder)
    if source.suffix == ".toml":
        study = load(source, seed)
        found = find(study.corpus, home.parent / "corpora", study.seed)
    else:
        address = read_plan(home).get("corpus", {}).get("address")
        kept = home.parent / "corpora" / str(address)
        found = open_corpus(kept) if kept.is_dir() else None
    if found is None:
        raise CorpusError(
            f"the corpus of {source} has not been tokenised, or its text has changed since",
            expected="a tokenizer.json, a folder with one, or a study that has been run",
            got=str(source),
            cure=f"foretoken run {source}" if source.suffix == ".toml" else "run its study, or give another folder",
        )
    return found


def _print_tokens(found: dict[str, Any]) -> None:
    specials = ", ".join(f"{_told(name)} {number}" for name, number in found["specials"].items())
    typer.echo(f"{found['name']}: {found['vocabulary']} tokens" + (f"; special: {specials}" if specials else ""))
    for number, merge in enumerate(found["merges"], 1):
        left, right, made = (_told(merge[part]) for part in ("left", "right", "token"))
        typer.echo(f"merge {number}: {left} {right} -> {made} ({merge['id']})")
    for one in found["scores"]:
        typer.echo(f"score {one['score']:.3f}: {_told(one['token'])} ({one['id']})")
    if found["longest"]:
        typer.echo("longest: " + "  ".join(f"{_told(one['token'])} ({one['bytes']} bytes)" for one in found["longest"]))


def _told(token: str) -> str:
    """A token as it can stand in a terminal; somebody else's may hold anything."""
    return legible(token, 60)


def _print_text(found: dict[str, Any]) -> None:
    if found["pieces"]:
        typer.echo("cut: " + "  ".join(f"{_told(one['token'])} ({one['id']})" for one in found["pieces"]))
    text = found["text"]
    if text is None or not text["tokens"]:
        return
    typer.echo(
        f"{text['bytes']} bytes, {text['words']} words, {text['tokens']} tokens:"
        f" {text['bytes_per_token']:.3f} bytes per token"
        + ("" if text["fertility"] is None else f", fertility {text['fertility']:.3f} tokens per word")
        + f", {text['unknown_share']:.2%} unknown"
    )
    if text["unchanged_share"] < 1:
        typer.echo(
            f"{1 - text['unchanged_share']:.2%} of the texts do not come back unchanged: bits per byte would be too"
            " good, so there are none"
        )
