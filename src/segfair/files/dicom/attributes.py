"""What DICOM headers say of patient and acquisition, as columns of metadata. Nothing that says who somebody is.

Names, birth dates, ids, institutions and free texts are no attributes, and never leave a header. Ages of 90 and more
are 90, as the Safe Harbor rule has it.

References:
    45 CFR 164.514(b)(2)(i)(C): "all ages over 89 ... may be aggregated into a single category of age 90 or older".
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from segfair.errors import ConfigError, close_names
from segfair.files.dicom.headers import number, numbers, text

__all__ = ["ATTRIBUTES", "ATTRIBUTE_TAGS", "attributes_of", "chosen_attributes", "years"]

_OLDEST = 90.0
_YEARS = {"D": 1 / 365.25, "W": 7 / 365.25, "M": 1 / 12, "Y": 1.0}


def years(age: str) -> float | None:
    """The years of an age string such as `045Y`, `018M`, `003W` or `010D`; None where it is none."""
    match = re.fullmatch(r"(\d{1,3})([DWMY])", age.strip().upper())
    return None if match is None else min(round(int(match[1]) * _YEARS[match[2]], 3), _OLDEST)


def _text(keyword: str) -> Callable[[Any], object]:
    return lambda dataset: text(dataset, keyword) or None


def _number(keyword: str) -> Callable[[Any], object]:
    return lambda dataset: number(dataset, keyword)


def _pixel_spacing(dataset: Any) -> float | None:
    spacing = numbers(dataset, "PixelSpacing", 2)
    return None if spacing is None else spacing[0]


OF_PATIENT: Mapping[str, Callable[[Any], object]] = {
    "sex": _text("PatientSex"),
    "age": lambda dataset: years(text(dataset, "PatientAge")),
    "ethnic_group": _text("EthnicGroup"),
    "size_m": _number("PatientSize"),
    "weight_kg": _number("PatientWeight"),
}
OF_IMAGE: Mapping[str, Callable[[Any], object]] = {
    "modality": _text("Modality"),
    "manufacturer": _text("Manufacturer"),
    "model": _text("ManufacturerModelName"),
    "body_part": _text("BodyPartExamined"),
    "protocol": _text("ProtocolName"),
    "kernel": _text("ConvolutionKernel"),
    "kvp": _number("KVP"),
    "field_strength_t": _number("MagneticFieldStrength"),
    "slice_thickness_mm": _number("SliceThickness"),
    "pixel_spacing_mm": _pixel_spacing,
}
ATTRIBUTES: Mapping[str, Callable[[Any], object]] = {**OF_PATIENT, **OF_IMAGE}
ATTRIBUTE_TAGS = (
    *("PatientSex", "PatientAge", "EthnicGroup", "PatientSize", "PatientWeight", "Modality", "Manufacturer"),
    *("ManufacturerModelName", "BodyPartExamined", "ProtocolName", "ConvolutionKernel", "KVP"),
    *("MagneticFieldStrength", "SliceThickness", "PixelSpacing"),
)


def attributes_of(dataset: Any) -> dict[str, object]:
    """Attribute -> what a header says, None where it says nothing."""
    return {name: read(dataset) for name, read in ATTRIBUTES.items()}


def chosen_attributes(names: str) -> tuple[str, ...]:
    """The attributes that somebody asked for.

    Args:
        names: Comma-separated, or `all`.

    Raises:
        ConfigError: One that does not exist.
    """
    wanted = list(dict.fromkeys(name.strip().lower() for name in names.split(",") if name.strip()))
    if wanted == ["all"]:
        return tuple(ATTRIBUTES)
    for name in wanted:
        if name not in ATTRIBUTES:
            raise ConfigError(
                f"--dicom-attributes {name}: unknown{close_names(name, ATTRIBUTES)}; known are all, or of "
                f"{', '.join(ATTRIBUTES)}"
            )
    if not wanted:
        raise ConfigError(f"--dicom-attributes: names none; known are all, or of {', '.join(ATTRIBUTES)}")
    return tuple(wanted)


def merged(
    of_mask: Mapping[str, object], of_image: Mapping[str, object] | None, names: Sequence[str]
) -> dict[str, object]:
    """What is known of a case: of the patient from either header, of the acquisition from the image's alone.

    A segmentation's own manufacturer is who made the model.
    """
    image = of_image or {}
    return {
        name: image.get(name)
        if name in OF_IMAGE
        else (image.get(name) if image.get(name) is not None else of_mask.get(name))
        for name in names
    }
