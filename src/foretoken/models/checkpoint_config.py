"""`config.json` of a Hugging Face checkpoint <-> ModelShape.

A shape is written only where reading it back gives the same network. Keys that change what a network computes and that
no shape here has are refused; all others (dropout, token ids, how it was trained) are passed over.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import asdict, fields
from typing import Any

from foretoken.compute.shape import ModelShape
from foretoken.errors import CheckpointError, ForetokenError, shown
from foretoken.models.checkpoint_keys import KEYS, PARTS, Keys

LARGEST = 10**9
"""Largest size that a configuration may name."""
LONGEST = 2**20
"""Longest context, in tokens: rotary positions keep a table of it."""
TYPES: dict[str, tuple[type, ...]] = {"int": (int,), "float": (int, float), "bool": (bool,), "str": (str,)}
NEEDED = ("layers", "width", "heads", "context", "vocabulary")


def architecture(config: Mapping[str, Any]) -> str:
    """The `model_type` of a configuration; raises CheckpointError when no network here is like it."""
    found, classes = config.get("model_type"), config.get("architectures") or []
    if not isinstance(found, str) or found not in KEYS:
        raise CheckpointError(
            "a checkpoint of a family that is not read here",
            expected=f"model_type {', '.join(KEYS)}, or foretoken",
            got=shown(found),
        )
    known = (*KEYS[found].kinds, *KEYS[found].other_kinds)
    if not isinstance(classes, list) or not set(map(str, classes)) <= set(known):
        raise CheckpointError(
            f"a {found} checkpoint with parts that no network here has",
            expected=f"architectures {' or '.join(known)}",
            got=shown(classes),
        )
    if config.get("quantization_config"):
        raise CheckpointError("a quantised checkpoint", cure="save it in float32, bfloat16 or float16")
    return found


def read_shape(config: Mapping[str, Any], tensors: Collection[str]) -> ModelShape:
    """The shape that a configuration describes, with the heads whose `tensors` are there.

    Raises CheckpointError (or DesignError, for sizes that do not fit together) when no shape is like it.
    """
    kind = architecture(config)
    keys, values = KEYS[kind], _flat(config)
    _check(keys, values)
    found = {name: _value(keys, name, values) for name in keys.keys}
    if kind == "bert":
        found |= {"head": "linear"}  # a bare model: the embedding stands in for a head, and adds no weights
        for tensor, fields_of_part in PARTS.items():
            found |= fields_of_part if tensor in tensors else {}
    shape = shape_of(keys.given | _plain(found))
    if kind == "mixtral" and shape.active_experts < 2:
        raise CheckpointError(
            "a token's only expert is weighed by its probability here, and by 1 in Mixtral",
            expected="num_experts_per_tok of 2 or more",
            got=str(shape.active_experts),
        )
    return shape


def write_config(shape: ModelShape) -> dict[str, Any] | None:
    """The configuration with which transformers builds the same network; None when it has no such network."""
    values = _full(shape)
    for kind, keys in KEYS.items():
        for name, parts in keys.kinds.items():
            if any(values[part] != wanted for part, wanted in parts.items()):
                continue
            if kind == "llama" and shape.width % shape.heads:  # transformers refuses it
                continue
            config = {"model_type": kind, "architectures": [name], **_written(keys, values)}
            if _same(config, [tensor for tensor, part in PARTS.items() if part.items() <= parts.items()], values):
                return config
    return None


def shape_of(values: Mapping[str, Any]) -> ModelShape:
    """A shape from plain values of somebody else's; raises CheckpointError for what is no value of a field."""
    wanted = {one.name: str(one.type) for one in fields(ModelShape)}
    for name, value in values.items():
        if name not in wanted:
            raise CheckpointError("no shape has this field", expected=", ".join(wanted), got=shown(name))
        if not _fits(value, wanted[name]):
            raise CheckpointError(
                f"{name} is not as it must be in config.json", expected=wanted[name], got=shown(value)
            )
    if lacking := [name for name in NEEDED if name not in values]:
        raise CheckpointError("config.json lacks what a network needs", expected=", ".join(lacking))
    shape = ModelShape(**values)
    if max(shape.context, shape.decoder_context) > LONGEST:
        raise CheckpointError("the context is too long", expected=f"at most {LONGEST}", got=str(shape.context))
    if not (shape.norm_epsilon > 0 and shape.rotary_base > 0):
        raise CheckpointError("norm_epsilon and rotary_base must be above 0")
    return shape


def _fits(value: Any, kind: str) -> bool:
    if type(value) not in TYPES[kind]:
        return False
    return kind in ("str", "bool") or bool(0 <= value <= LARGEST)


def _flat(config: Mapping[str, Any]) -> dict[str, Any]:
    """The configuration with rotary settings as keys of their own, and what cannot matter left out."""
    flat = dict(config)
    for name in ("rope_scaling", "rope_parameters"):
        rope = flat.pop(name, None)
        if rope is not None and not isinstance(rope, dict):
            raise CheckpointError(f"{name} in config.json is not as it must be", expected="an object", got=shown(rope))
        rope = {"rope_type" if key == "type" else key: value for key, value in (rope or {}).items()}
        flat |= {key: rope[key] for key in ("rope_type", "rope_theta", "partial_rotary_factor") if key in rope}
    window, context = flat.get("sliding_window"), flat.get("max_position_embeddings")
    if isinstance(window, int) and isinstance(context, int) and window >= context:
        del flat["sliding_window"]
    inside, form = flat.get("dense_act_fn"), flat.get("feed_forward_proj")
    if isinstance(form, str) and inside not in (None, "gelu_new" if form == "gated-gelu" else form.split("-")[-1]):
        raise CheckpointError("config.json names two activations", got=f"{shown(form)} and {shown(inside)}")
    if "scale_decoder_outputs" in flat:  # transformers 5 says by this whether T5's head is scaled
        flat["tie_word_embeddings"] = flat["scale_decoder_outputs"]
    return flat


def _check(keys: Keys, values: Mapping[str, Any]) -> None:
    for name, allowed in keys.must.items():
        found = values.get(name)
        if found is not None and found not in allowed:
            raise CheckpointError(
                f"config.json has a setting that no network here has: {name}",
                expected=" or ".join(map(str, allowed)) or "none",
                got=shown(found),
                cure="open it with transformers",
            )


def _value(keys: Keys, name: str, values: Mapping[str, Any]) -> Any:
    """What their keys of one field say; refused where they differ."""
    found = []
    for key in keys.keys[name]:
        value = values.get(key)
        if value is None and key not in keys.defaults:
            raise CheckpointError(f"config.json lacks {key}")
        found.append(keys.defaults[key] if value is None else value)
    if any(value != found[0] for value in found[1:]):
        raise CheckpointError(
            "no network here has only one of them", got=f"{', '.join(keys.keys[name])}: {shown(found)}"
        )
    choices = keys.choices.get(name)
    if choices is None:
        return found[0]
    if not isinstance(found[0], str) or found[0] not in choices:
        raise CheckpointError(f"no network here has this {name}", expected=" or ".join(choices), got=shown(found[0]))
    return choices[found[0]]


def _plain(found: dict[str, Any]) -> dict[str, Any]:
    """Fields as a person would give them: 0 where a size is what it would be anyway."""
    head, heads = found.pop("head_width", 0), found["heads"]
    if head:
        found["attention_width"] = head * heads if type(head) is int and type(heads) is int else head
    for name, usual in (("attention_width", "width"), ("kv_heads", "heads"), ("decoder_layers", "layers"),
                        ("decoder_context", "context")):  # fmt: skip
        if name in found and found[name] == found[usual]:
            found[name] = 0
    return found


def _full(shape: ModelShape) -> dict[str, Any]:
    """All fields, zeros replaced by what they stand for, and those without effect at one value."""
    two = shape.family_record.two_stacks
    return asdict(shape) | {
        "head_width": shape.head_width,
        "kv_heads": shape.kv_heads or shape.heads,
        "attention_width": shape.query_width,
        "decoder_layers": shape.target_layers,
        "decoder_context": shape.second_context * two,
        "expert_width": (shape.expert_width or shape.feed_forward) * bool(shape.experts),
        "position_buckets": shape.position_buckets * shape.position_kind.relative,
        "rotary_base": float(shape.rotary_base) * shape.position_kind.rotary,
    }


def _written(keys: Keys, values: Mapping[str, Any]) -> dict[str, Any]:
    config: dict[str, Any] = {}
    for name, theirs in keys.keys.items():
        value = values[name]
        if name in keys.choices:
            value = next((key for key, ours in keys.choices[name].items() if ours == value), None)
        config |= dict.fromkeys(theirs, value)
    if "token_types" in keys.keys and not values["token_types"]:
        config["type_vocab_size"] = 2  # of zeros
    return config


def _same(config: Mapping[str, Any], tensors: Collection[str], values: Mapping[str, Any]) -> bool:
    try:
        read = _full(read_shape(config, tensors))
    except ForetokenError:
        return False
    return read | {"token_types": 0} == {**values, "token_types": 0} and (
        values["token_types"] in (0, read["token_types"])
    )
