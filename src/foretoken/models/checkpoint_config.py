"""`config.json` of a Hugging Face checkpoint <-> ModelShape.

A shape is written only where reading it back gives the same network. Keys that change what a network computes and that
no shape here has are refused; all others (dropout, token ids, how it was trained) are passed over.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import asdict, fields
from typing import Any

from foretoken.arguments import nearest
from foretoken.compute.shape import ModelShape
from foretoken.errors import CheckpointError, ForetokenError, shown
from foretoken.models.checkpoint_keys import KEYS, PARTS, ConfigKeys

LARGEST = 10**9
"""Largest size that a configuration may name."""
LONGEST = 2**20
"""Longest context, in tokens: rotary positions keep a table of it."""
TYPES: dict[str, tuple[type, ...]] = {"int": (int,), "float": (int, float), "bool": (bool,), "str": (str,)}
ZERO_MEANS = {
    "attention_width": "width",
    "kv_heads": "heads",
    "decoder_layers": "layers",
    "decoder_context": "context",
}
"""Fields that are 0 where they are equal to another."""
NEEDED = ("layers", "width", "heads", "context", "vocabulary")


def architecture(config_json: Mapping[str, Any]) -> str:
    """The `model_type` of a configuration; raises CheckpointError when no network here is like it."""
    model_type, classes = config_json.get("model_type"), config_json.get("architectures") or []
    if not isinstance(model_type, str) or model_type not in KEYS:
        raise CheckpointError(
            "a checkpoint of a family that is not read here",
            expected=f"model_type {', '.join(KEYS)}, or foretoken",
            got=shown(model_type),
        )
    known = (*KEYS[model_type].classes, *KEYS[model_type].other_classes)
    if not isinstance(classes, list) or not set(map(str, classes)) <= set(known):
        raise CheckpointError(
            f"a {model_type} checkpoint with parts that no network here has",
            expected=f"architectures {' or '.join(known)}",
            got=shown(classes),
        )
    if config_json.get("quantization_config"):
        raise CheckpointError("a quantised checkpoint", cure="save it in float32, bfloat16 or float16")
    return model_type


def shape_from_config_json(config_json: Mapping[str, Any], tensors: Collection[str]) -> ModelShape:
    """The shape that a configuration describes, with the heads whose `tensors` are there.

    Raises CheckpointError (or DesignError, for sizes that do not fit together) when no shape is like it.
    """
    keys, config = KEYS[architecture(config_json)], _flat_json(config_json)
    _check_supported(keys, config)
    values = {name: _value(keys, name, config) for name in keys.keys}
    if keys.heads_by_tensors:
        values |= {"head": "linear"}  # a bare model: the embedding stands in for a head, and adds no weights
        for tensor, choices in PARTS.items():
            values |= choices if tensor in tensors else {}
    shape = shape_from_json({**keys.fixed, **_without_redundant_json(values)})
    if keys.several_experts and shape.active_experts < 2:
        raise CheckpointError(
            "a token's only expert is weighed by its probability here, and by 1 in Mixtral",
            expected="num_experts_per_tok of 2 or more",
            got=str(shape.active_experts),
        )
    return shape


def shape_to_config_json(shape: ModelShape) -> dict[str, Any] | None:
    """The configuration with which transformers builds the same network; None when it has no such network."""
    values = _filled_json(shape)
    for model_type, keys in KEYS.items():
        if keys.whole_heads and shape.width % shape.heads:
            continue
        for name, choices in keys.classes.items():
            if all(values[field] == value for field, value in choices.items()):
                config = {"model_type": model_type, "architectures": [name], **_config_json(keys, values)}
                tensors = [tensor for tensor, part in PARTS.items() if part.items() <= choices.items()]
                if _reads_back(config, tensors, values):
                    return config
    return None


def shape_from_json(values_json: Mapping[str, Any]) -> ModelShape:
    """A shape from plain values of somebody else's; raises CheckpointError for what is no value of a field."""
    types = {field.name: str(field.type) for field in fields(ModelShape)}
    for name, value in values_json.items():
        if name not in types:
            near = nearest(name, types)
            cure = f"did you mean {near[0]!r}?" if near else None
            raise CheckpointError("no shape has this field", expected=", ".join(types), got=shown(name), cure=cure)
        if not _fits(value, types[name]):
            raise CheckpointError(f"invalid value of {name} in config.json", expected=types[name], got=shown(value))
    if lacking := [name for name in NEEDED if name not in values_json]:
        raise CheckpointError("config.json lacks what a network needs", expected=", ".join(lacking))
    shape = ModelShape.from_json(dict(values_json))
    if max(shape.context, shape.decoder_context) > LONGEST:
        raise CheckpointError("the context is too long", expected=f"at most {LONGEST}", got=str(shape.context))
    if not (shape.norm_epsilon > 0 and shape.rotary_base > 0):
        raise CheckpointError("norm_epsilon and rotary_base must be above 0")
    return shape


def _fits(value: object, type_name: str) -> bool:
    if type(value) not in TYPES[type_name]:
        return False
    return not isinstance(value, int | float) or 0 <= value <= LARGEST


def _flat_json(config_json: Mapping[str, Any]) -> dict[str, Any]:
    """The configuration with rotary settings as keys of their own, and what cannot matter left out."""
    flat = dict(config_json)
    for name in ("rope_scaling", "rope_parameters"):
        rope = flat.pop(name, None)
        if rope is not None and not isinstance(rope, dict):
            raise CheckpointError(f"invalid value of {name} in config.json", expected="an object", got=shown(rope))
        rope = {"rope_type" if key == "type" else key: value for key, value in (rope or {}).items()}
        flat |= {key: rope[key] for key in ("rope_type", "rope_theta", "partial_rotary_factor") if key in rope}
    window, context = flat.get("sliding_window"), flat.get("max_position_embeddings")
    if isinstance(window, int) and isinstance(context, int) and window >= context:
        del flat["sliding_window"]
    # T5 names its activation twice: `gated-gelu` means `gelu_new` on the gate, any other form the word it ends in
    activation, form = flat.get("dense_act_fn"), flat.get("feed_forward_proj")
    if isinstance(form, str) and activation not in (None, "gelu_new" if form == "gated-gelu" else form.split("-")[-1]):
        raise CheckpointError("config.json names two activations", got=f"{shown(form)} and {shown(activation)}")
    if "scale_decoder_outputs" in flat:  # transformers 5 says by this whether T5's head is scaled
        flat["tie_word_embeddings"] = flat["scale_decoder_outputs"]
    return flat


def _check_supported(keys: ConfigKeys, config_json: Mapping[str, Any]) -> None:
    for name, supported in keys.supported.items():
        value = config_json.get(name)
        if value is not None and value not in supported:
            raise CheckpointError(
                f"config.json has a setting that no network here has: {name}",
                expected=" or ".join(map(str, supported)) or "none",
                got=shown(value),
                cure="open it with transformers",
            )


def _value(keys: ConfigKeys, name: str, config_json: Mapping[str, Any]) -> Any:
    """The value of one field, by its keys; refused where they differ."""
    values = []
    for key in keys.keys[name]:
        value = config_json.get(key)
        if value is None and key not in keys.defaults:
            raise CheckpointError(f"config.json lacks {key}")
        values.append(keys.defaults[key] if value is None else value)
    if any(value != values[0] for value in values[1:]):
        raise CheckpointError(
            "no network here has only one of them", got=f"{', '.join(keys.keys[name])}: {shown(values)}"
        )
    choices = keys.choices.get(name)
    if choices is None:
        return values[0]
    if not isinstance(values[0], str) or values[0] not in choices:
        raise CheckpointError(f"no network here has this {name}", expected=" or ".join(choices), got=shown(values[0]))
    return choices[values[0]]


def _without_redundant_json(values_json: dict[str, Any]) -> dict[str, Any]:
    """Fields as a person would give them: 0 where a size is what it would be anyway."""
    values = dict(values_json)
    head_width, heads = values.pop("head_width", 0), values["heads"]
    if head_width:
        whole = type(head_width) is int and type(heads) is int
        values["attention_width"] = head_width * heads if whole else head_width
    for name, usual in ZERO_MEANS.items():
        if name in values and values[name] == values[usual]:
            values[name] = 0
    return values


def _filled_json(shape: ModelShape) -> dict[str, Any]:
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


def _config_json(keys: ConfigKeys, values_json: Mapping[str, Any]) -> dict[str, Any]:
    config: dict[str, Any] = {}
    for name, theirs in keys.keys.items():
        value = values_json[name]
        if name in keys.choices:
            value = next((key for key, ours in keys.choices[name].items() if ours == value), None)
        config |= dict.fromkeys(theirs, value)
    if "token_types" in keys.keys and not values_json["token_types"]:
        config["type_vocab_size"] = 2  # of zeros
    return config


def _reads_back(config_json: Mapping[str, Any], tensors: Collection[str], values_json: Mapping[str, Any]) -> bool:
    """Whether the configuration is read as the same shape. BERT always has kinds of segments, of zeros if need be."""
    try:
        read = _filled_json(shape_from_config_json(config_json, tensors))
    except ForetokenError:
        return False
    same = {**read, "token_types": 0} == {**values_json, "token_types": 0}
    return same and values_json["token_types"] in (0, read["token_types"])
