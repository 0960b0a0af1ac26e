"""The final weights of a run, kept in a folder that needs nothing else to be read."""

from __future__ import annotations

from pathlib import Path

from foretoken.compute.objective import PAD
from foretoken.data import TokenizedCorpus
from foretoken.data.subword import SubwordTokenizer
from foretoken.data.tokenizer import ByteTokenizer
from foretoken.data.tokenizer_files import load_tokenizer
from foretoken.models import Network, save_pretrained
from foretoken.objectives.examples import example_builder
from foretoken.runs.spec import RunSpec
from foretoken.store.atomic import write_json
from foretoken.store.weights import FACTS, Facts, commit_weights


def keep_weights(folder: Path, network: Network, spec: RunSpec, corpus: TokenizedCorpus) -> None:
    """Write network, tokenizer and facts of a run (see runs/kept.py). Raises StoreError."""
    tokenizer = load_tokenizer(corpus.folder)
    facts = Facts(
        run=spec.key,
        objective=spec.objective,
        tokenizer=tokenizer.to_json(),
        specials=example_builder(spec.objective, spec.shape, corpus).specials,
    )

    names = {"pad_token_id": PAD, "decoder_start_token_id": PAD if spec.shape.target_layers else ""}
    ids = {name: facts.specials[token] for name, token in names.items() if token in facts.specials}
    if tokenizer.separator is not None:
        ids["eos_token_id"] = tokenizer.separator

    def write(place: Path) -> None:
        save_pretrained(network, place, token_ids=ids)
        if isinstance(tokenizer, ByteTokenizer | SubwordTokenizer):
            tokenizer.save(place / "tokenizer.json")
        write_json(place / FACTS, facts.to_json())

    commit_weights(folder, write)
