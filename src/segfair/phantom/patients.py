"""Who is in the cohort: attributes that depend on each other, a planted subgroup, gaps. Draws no voxel."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

import numpy as np

from segfair.errors import ConfigError

AGE_GROUPS = ("0-40", "41-50", "51-60", "61-70", "71+")
DENSITIES = ("a", "b", "c", "d")
MENOPAUSE = ("pre", "post")
SITES = ("A", "B", "C", "D")
LEVELS = {"age_group": AGE_GROUPS, "menopause": MENOPAUSE, "breast_density": DENSITIES, "site": SITES}

_SITE_SHARES = (0.4, 0.3, 0.2, 0.1)
_MISSING_SHARES = {"age": 0.05, "menopause": 0.12, "breast_density": 0.05}

Appearance = Literal["signal-loss", "divided", "clumped", "rim", "hidden"]
MechanismName = Literal["faint", "moderate", "texture", "three-attribute", "rim", "hidden"]


@dataclass(frozen=True, slots=True)
class Mechanism:
    """A way in which one subgroup is served worse.

    Attributes:
        name: Short name.
        items: Attribute -> level; the cases that have all of them are the planted subgroup.
        appearance: How tumours of the planted subgroup differ from all others in the images.
        summary: One sentence for reports.
        one_in: Of so many cases of a written cohort one is planted.
    """

    name: str
    items: Mapping[str, str]
    appearance: Appearance
    summary: str
    one_in: int = 5

    def includes(self, metadata: Mapping[str, object]) -> bool:
        """Whether a case with these attributes belongs to the planted subgroup."""
        return all(metadata[attribute] == level for attribute, level in self.items.items())


_YOUNG_AND_DENSE = {"age_group": "41-50", "breast_density": "d"}

MECHANISMS: Mapping[str, Mechanism] = {
    "faint": Mechanism(
        "faint",
        _YOUNG_AND_DENSE,
        "signal-loss",
        "tumours of the subgroup lose signal after contrast instead of gaining it: rare and unlike the others",
    ),
    "moderate": Mechanism(
        "moderate",
        _YOUNG_AND_DENSE,
        "divided",
        "a part of the subgroup's tumours loses signal: found by a model that knows the others only, but cut short",
    ),
    "texture": Mechanism(
        "texture",
        _YOUNG_AND_DENSE,
        "clumped",
        "tumours of the subgroup are clumps of enhancement in unenhanced tissue: another texture, rare",
    ),
    "three-attribute": Mechanism(
        "three-attribute",
        {**_YOUNG_AND_DENSE, "site": "B"},
        "signal-loss",
        "as faint, but at one of the four sites only: no pair of attributes names the subgroup",
    ),
    "rim": Mechanism(
        "rim",
        {"site": "D"},
        "rim",
        "tumours at one of the four sites enhance at their rim while the core stays dark: rare, and cut short inside",
        one_in=10,  # as many as the site has
    ),
    "hidden": Mechanism(
        "hidden",
        _YOUNG_AND_DENSE,
        "hidden",
        "tumours of the subgroup leave no trace in the images: hard in itself, no training helps",
    ),
}


@dataclass(frozen=True, slots=True)
class Patient:
    """A case before it has a picture; `attributes` are the true ones, `metadata` what the table shows."""

    id: str
    attributes: Mapping[str, object]
    metadata: Mapping[str, object]
    planted: bool
    rng: np.random.Generator


def find_mechanism(mechanism: str | Mechanism) -> Mechanism:
    """The mechanism of that name; a mechanism itself is handed back.

    Raises:
        ConfigError: No mechanism has that name, or its items describe nobody (or everybody).
    """
    if isinstance(mechanism, str):
        if mechanism not in MECHANISMS:
            raise ConfigError(f"mechanism {mechanism!r}: not one of {', '.join(MECHANISMS)}")
        return MECHANISMS[mechanism]
    unknown = {name: level for name, level in mechanism.items.items() if level not in LEVELS.get(name, ())}
    if unknown or not mechanism.items:
        # Patients are drawn until enough of them match: that would never end.
        raise ConfigError(
            f"mechanism {mechanism.name}: items {dict(mechanism.items)} match nobody or all; levels are {LEVELS}"
        )
    return mechanism


def sample_patients(
    n_cases: int, *, rng: np.random.Generator, planted_cases: int | None, mechanism: Mechanism, prefix: str
) -> list[Patient]:
    """Draws patients, each from a stream of its own; exactly `planted_cases` are planted unless that is None."""
    streams = [tuple(stream.spawn(2)) for stream in rng.spawn(n_cases)]
    wanted: list[bool | None] = [None] * n_cases
    if planted_cases is not None:
        # Each case draws its own lot, and the smallest lots are planted.
        lots = [table.random() for table, _ in streams]
        ranks = np.argsort(np.argsort(lots))
        wanted = [bool(rank < planted_cases) for rank in ranks]
    patients = []
    for number, ((table, picture), wish) in enumerate(zip(streams, wanted, strict=True), start=1):
        attributes = _draw_attributes(table)
        while wish is not None and mechanism.includes(attributes) != wish:
            attributes = _draw_attributes(table)
        planted = mechanism.includes(attributes)
        # What defines a planted case stays visible (the age would otherwise hide it from rules that bin ages).
        kept = {*mechanism.items, "age"} if planted else set()
        gone = {name for name, share in _MISSING_SHARES.items() if table.random() < share} - kept
        name = f"{prefix}{number:04d}"
        shown = {key: None if key in gone else value for key, value in attributes.items()}
        patients.append(Patient(name, attributes, {"patient_id": name, **shown}, planted, picture))
    return patients


def _draw_attributes(rng: np.random.Generator) -> dict[str, object]:
    """One patient's true attributes: density falls with age and menopause; the site depends on nothing."""
    age = 0
    while not 24 <= age <= 88:
        age = round(rng.normal(53.0, 12.5))
    post = rng.random() < max(0.02, 1 / (1 + math.exp(-(age - 50.5) / 2.2)))
    t = float(np.clip((age - 40) / 30, -0.4, 1.3))
    shares = (1 - t) * np.array([0.07, 0.30, 0.43, 0.20]) + t * np.array([0.20, 0.48, 0.28, 0.04])
    shares = np.maximum(shares * (1.0 if post else np.array([0.8, 0.95, 1.1, 1.2])), 0.0)
    return {
        "age": age,
        "age_group": AGE_GROUPS[int(np.searchsorted([40, 50, 60, 70], age))],
        "menopause": "post" if post else "pre",
        "breast_density": str(rng.choice(DENSITIES, p=shares / shares.sum())),
        "site": str(rng.choice(SITES, p=_SITE_SHARES)),
    }
