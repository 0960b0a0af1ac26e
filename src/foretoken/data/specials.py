"""Special tokens that an objective needs: the tokenizer's own, or new ones beyond its vocabulary.

The tokens on disk never depend on the objective: what it needs beside them is numbered here.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from foretoken.errors import CorpusError

OTHER_SPELLINGS = {
    "[MASK]": ("<mask>",),
    "[CLS]": ("<s>", "<cls>"),
    "[SEP]": ("</s>", "<sep>"),
    "[PAD]": ("<pad>",),
    "[UNK]": ("<unk>",),
}
"""How tokenizers other than BERT's spell its special tokens: RoBERTa's (Liu et al. 2019), XLNet's."""


def special_ids(
    specials: Mapping[str, int], vocabulary: int, fixed_vocabulary: bool, needed: Sequence[str]
) -> tuple[dict[str, int], int]:
    """The ids of the needed special tokens, by their names, and the network's vocabulary with them.

    What the tokenizer lacks is numbered from `vocabulary` up, in the order of `needed`.
    Raises CorpusError when a tokenizer of fixed vocabulary (a user's own) lacks one.

    >>> special_ids({"[MASK]": 4}, vocabulary=1000, fixed_vocabulary=False, needed=["[CLS]", "[MASK]", "<extra_id_0>"])
    ({'[CLS]': 1000, '[MASK]': 4, '<extra_id_0>': 1001}, 1002)
    """
    own = {name: specials[spelling] for name in needed if (spelling := _spelling(name, specials)) is not None}
    lacking = [name for name in dict.fromkeys(needed) if name not in own]
    if lacking and fixed_vocabulary:
        raise CorpusError(
            f"the tokenizer has no {lacking[0]}, which the objective needs",
            expected=f"the special tokens {_listed(list(dict.fromkeys(needed)))}",
            got=_listed(list(specials)) if specials else "a tokenizer without special tokens",
            cure="add them to the tokenizer's file as special tokens, learn a tokenizer here (corpus.tokenizer), or"
            " choose another objective",
        )
    added = {name: vocabulary + number for number, name in enumerate(lacking)}
    return {name: (own | added)[name] for name in needed}, vocabulary + len(added)


def _spelling(name: str, specials: Mapping[str, int]) -> str | None:
    return next((spelling for spelling in (name, *OTHER_SPELLINGS.get(name, ())) if spelling in specials), None)


def _listed(names: Sequence[str]) -> str:
    return ", ".join(names[:8]) + (f" and {len(names) - 8} more" if len(names) > 8 else "")
