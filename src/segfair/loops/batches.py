"""What a loop hands over after a batch -> its cases: two masks and a name each. Scores nothing.

Knows the shapes that loops of MONAI and Lightning give: decollated items, a dictionary of batch-first tensors, or two
batches of masks, channels first. Loads no torch and no MONAI: their tensors say what they are.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from segfair.api.arrays import ID_KEYS, LABEL_KEYS, PREDICTION_KEYS, own_name, part_of
from segfair.errors import InputError, PairingError, some

__all__ = ["LoopCase", "cases_of_batch", "cases_of_masks"]

_OF_CASE = (*PREDICTION_KEYS, *LABEL_KEYS, *ID_KEYS, "image")


@dataclass(frozen=True, slots=True, eq=False)
class LoopCase:
    """One case of a batch.

    Attributes:
        name: Its id; empty where nothing tells it.
        prediction, label: Masks, channels first.
        levels: Attribute -> level, where the loop says it.
    """

    name: str
    prediction: Any
    label: Any
    levels: Mapping[str, object] = field(default_factory=dict)


def cases_of_batch(output: Any, batch: Any = None, *, id_key: str | None = None) -> list[LoopCase]:
    """The cases of a batch from what a step of a loop gives.

    Args:
        output: Decollated items, or a dictionary of batch-first tensors, with "pred" and "label"; a bare batch of
            predictions, the labels then being in the batch.
        batch: What went into the step, decollated or not; what the output does not hold is taken from it.
        id_key: Key that holds the ids; None: "id", "case" and the like, else the file that the label (or the image)
            was loaded from.

    Raises:
        InputError: No predictions, or no labels.
        PairingError: Masks whose case cannot be told.
    """
    if not isinstance(output, Mapping) and not _are_items(output):
        output = {"pred": output}
    keys = (*_OF_CASE, *((id_key,) if id_key is not None else ()))
    outputs, inputs = _items(output, keys), _items(batch, keys)
    if not any(key in item for item in outputs[:1] for key in PREDICTION_KEYS):
        raise InputError(
            f"a step of the loop gives no predictions (but {some(output, 8)}); let it give masks as 'pred', or say "
            "where they are with output_transform"
        )
    if inputs and len(inputs) != len(outputs):
        raise PairingError(f"a batch of {len(inputs)} cases has {len(outputs)} predictions; hand over one each")
    inputs = inputs or [{} for _ in outputs]
    return [_case({**before, **after}, id_key) for before, after in zip(inputs, outputs, strict=True)]


def cases_of_masks(
    predictions: Any,
    labels: Any,
    *,
    ids: Sequence[str] | None = None,
    levels: Mapping[str, Sequence[object]] | Sequence[Mapping[str, object]] | None = None,
    meta_levels: Sequence[str] = (),
) -> list[LoopCase]:
    """The cases of two batches of masks, as metrics are handed them.

    Args:
        predictions: Batch-first tensor, or a list of masks, channels first.
        labels: The same.
        ids: Ids of the cases; None: the files that labels or predictions were loaded from.
        levels: Attribute -> a level each, or a dictionary a case; None: see `meta_levels`.
        meta_levels: Entries of a mask's meta dictionary that are attributes.

    Raises:
        InputError: As many labels, ids or levels as there are predictions are meant.
    """
    if labels is None:
        raise InputError("labels are missing; hand in y as well")
    listed = [predictions[index] for index in range(len(predictions))]
    referred = [labels[index] for index in range(len(labels))]
    if isinstance(levels, Mapping):
        levels = [dict(zip(levels, values, strict=True)) for values in zip(*levels.values(), strict=True)]
    for what, found in (("labels", referred), ("ids", ids), ("levels", levels)):
        if found is not None and len(found) != len(listed):
            raise InputError(f"{what}: there are {len(found)}, and {len(listed)} predictions; hand in as many")
    names = [str(name) for name in ids] if ids is not None else list(map(_file_of, listed, referred))
    told = levels if levels is not None else [_from_meta(label, meta_levels) for label in referred]
    return [
        LoopCase(*case) for case in zip(names, _as_parts(listed), _as_parts(referred), map(dict, told), strict=True)
    ]


def _are_items(value: Any) -> bool:
    return isinstance(value, list | tuple) and bool(value) and all(isinstance(item, Mapping) for item in value)


def _items(batch: Any, keys: Sequence[str]) -> list[dict[str, Any]]:
    """A batch, decollated or not, as one dictionary a case; of the keys that matter here alone."""
    if _are_items(batch):
        return [dict(item) for item in batch]
    if not isinstance(batch, Mapping):
        return []
    kept = {key: batch[key] for key in keys if key in batch and _is_batch(batch[key])}
    sizes = {len(values) for values in kept.values()}
    if len(sizes) > 1:
        raise PairingError(
            f"a batch holds {some(sorted(sizes))} cases by its keys {', '.join(kept)}; one each is meant"
        )
    return [{key: values[index] for key, values in kept.items()} for index in range(max(sizes, default=0))]


def _is_batch(value: Any) -> bool:
    """Whether a value has a first axis; a loss has none."""
    return hasattr(value, "__len__") and getattr(value, "ndim", 1) > 0


def _case(item: Mapping[str, Any], id_key: str | None) -> LoopCase:
    if id_key is not None and id_key not in item:
        raise PairingError(f"id_key={id_key!r}: not in the batch; its keys are {some(item, 12)}")
    name = str(item[id_key]) if id_key is not None else own_name(item) or own_name({"label": item.get("image")})
    if not name:
        raise PairingError(
            'whose masks are these? Name the key of the ids with id_key=..., or put them into the batch as "id"; '
            "labels and images that LoadImaged loads with their meta data are known by their files"
        )
    return LoopCase(name, part_of(item, PREDICTION_KEYS, "prediction"), part_of(item, LABEL_KEYS, "label"))


def _file_of(prediction: Any, label: Any) -> str:
    return own_name({"label": label}) or own_name({"label": prediction})


def _from_meta(label: Any, names: Sequence[str]) -> dict[str, object]:
    meta = getattr(label, "meta", None) or {}
    return {name: meta[name] for name in names if name in meta}


def _as_parts(masks: Sequence[Any]) -> list[Any]:
    return [part_of({"label": mask}, LABEL_KEYS, "mask") for mask in masks]
