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
from foretoken.store.weights import METADATA_FILE, ModelMetadata, commit_weights


def keep_weights(folder: Path, network: Network, spec: RunSpec, corpus: TokenizedCorpus) -> None:
    """Write network, tokenizer and metadata of a run (see store/weights.py). Raises StoreError."""
    tokenizer = load_tokenizer(corpus.folder)
    metadata = ModelMetadata(
        run=spec.key,
        objective=spec.objective,
        tokenizer_json=tokenizer.to_json(),
        specials=example_builder(spec.objective, spec.shape, corpus).specials,
    )

    names = {"pad_token_id": PAD, "decoder_start_token_id": PAD if spec.shape.target_layers else ""}
    ids = {name: metadata.specials[token] for name, token in names.items() if token in metadata.specials}
    if tokenizer.separator is not None:
        ids["eos_token_id"] = tokenizer.separator

    def write(place: Path) -> None:
        save_pretrained(network, place, token_ids=ids)
        if isinstance(tokenizer, ByteTokenizer | SubwordTokenizer):
            tokenizer.save(place / "tokenizer.json")
        write_json(place / METADATA_FILE, metadata.to_json())

    commit_weights(folder, write)
