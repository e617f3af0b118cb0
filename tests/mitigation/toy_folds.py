"""Out-of-fold scores with gaps and gains put in by hand: evidence without a training."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from tests.score_fixtures import audit_of

from segfair.attributes.fit import Attribute, AttributeTable
from segfair.mitigation.experiment.diagnosis import Part, diagnose
from segfair.mitigation.experiment.evidence import PooledScores, find_evidence
from segfair.mitigation.experiment.summary import MitigationSummary, ModelSummary, summarise
from segfair.protocol.rules import load_protocol

N_CASES = 200
SEX = np.arange(N_CASES) % 4 == 0
"""Women, a quarter."""
SITE = np.arange(N_CASES) % 4 < 2
"""Holds all women, so that women of a site are all women, and no half of them is worse by chance."""
FOLDS = np.arange(N_CASES) // 8 % 5
"""Five folds with ten women each."""
SUBJECTS = np.arange(N_CASES) // 8 * 4 + np.arange(N_CASES) % 4
"""Two cases each, of one fold, one sex and one site."""


def attribute(name: str, codes: np.ndarray, *levels: str) -> Attribute:
    return Attribute(name, levels, codes.astype(np.int16), name, "as they are")


def table(*attributes: Attribute, n: int = N_CASES) -> AttributeTable:
    return AttributeTable(tuple(f"c{index:04d}" for index in range(n)), attributes, {})


ATTRIBUTES = table(attribute("sex", ~SEX, "F", "M"), attribute("site", ~SITE, "A", "B"))


def pooled(dsc: np.ndarray) -> PooledScores:
    """(n_seeds, n_cases) Dice; NormHD falls with it."""
    return PooledScores(ATTRIBUTES.case_ids[: dsc.shape[1]], dsc, 0.3 * (1 - dsc))


def plain_dice(n_seeds: int, *, women: float = 0.7, noise: float = 0.05, seed_noise: float = 0.02) -> np.ndarray:
    """(n_seeds, n_cases): women worse, each case of its own difficulty, each seed with noise of its own."""
    rng = np.random.default_rng(3)
    means = np.where(SEX, women, 0.9) + noise * rng.standard_normal(N_CASES)
    return means + seed_noise * rng.standard_normal((n_seeds, N_CASES))


def trained(n_seeds: int, *, gain: float = 0.0, rest: float = 0.0, seed_noise: float = 0.02) -> np.ndarray:
    """Another model: women gain, the rest change, seeds have noise of their own."""
    rng = np.random.default_rng(8)
    return (
        plain_dice(n_seeds, seed_noise=0.0)
        + np.where(SEX, gain, rest)
        + seed_noise * rng.standard_normal((n_seeds, N_CASES))
    )


def folded_model(name: str, dice: np.ndarray, plain: np.ndarray | None, **settings: Any) -> ModelSummary:
    """A model of a run with folds; `plain` is None for the plain one itself."""
    dice = np.clip(dice, 0, 1)
    mean = dice.mean(axis=0)
    metadata = {"sex": np.where(SEX, "F", "M").tolist(), "site": np.where(SITE, "A", "B").tolist()}
    scores = {"dsc": mean.tolist(), "normhd": (0.3 * (1 - mean)).tolist()}
    audit = audit_of(scores, metadata, min_cases=5, min_support=0.05)
    worst = min(audit.subgroups["dsc"], key=lambda row: row.mean)
    told: Mapping[str, Any] = {
        **{score: audit.scores[score].value for score in ("DSC", "NormHD", "PS", "FS", "TS")},
        "worst_subgroup": {"items": dict(sorted(worst.subgroup.items)), "n": worst.n, "dsc": worst.mean},
    }
    evidence = None
    if plain is not None:
        given: dict[str, Any] = {"attributes": ATTRIBUTES, "min_cases": 10, "subjects": SUBJECTS}
        evidence = find_evidence(
            pooled(np.clip(plain, 0, 1)),
            pooled(dice),
            folds=FOLDS,
            protocol=load_protocol("default"),
            seed=0,
            **given | settings,
        )
    diagnosis = diagnose(Part(50, 0.8, 0.95), Part(50, 0.7, 0.9), share=0.25, held_out="out-of-fold")
    return ModelSummary(
        name,
        "unet",
        name,
        {"pooled": told},
        {"subgroup": told["worst_subgroup"]["items"], **diagnosis.to_dict()},
        audit,
        epochs=10,
        best_epoch=10,
        evidence=evidence,
    )


def conclude_folds(n_seeds: int, models: Mapping[str, Mapping[str, float]], **settings: Any) -> MitigationSummary:
    """A run with folds: the plain model and others with these gains of the women and of the rest."""
    plain = plain_dice(n_seeds)
    return summarise(
        [
            folded_model("erm", plain, None),
            *(folded_model(name, trained(n_seeds, **gains), plain, **settings) for name, gains in models.items()),
        ],
        baseline="erm",
        budget={"Epochs": "10", "Folds": "5"},
    )
