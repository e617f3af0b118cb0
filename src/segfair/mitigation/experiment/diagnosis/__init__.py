"""Why a subgroup is served worse: was it learned, what is its deficit made of, and what follows. Imports no torch."""

from segfair.mitigation.experiment.diagnosis.appearance import Appearance, appearance_of
from segfair.mitigation.experiment.diagnosis.conclusions import Cause, Diagnosis, diagnose, diagnose_models
from segfair.mitigation.experiment.diagnosis.deficit import Deficit, Lesions, deficit_of, deficit_rule
from segfair.mitigation.experiment.diagnosis.learning import (
    HeldOut,
    Part,
    drawn_share,
    learning_rule,
    part_of,
    pooled_parts,
)

__all__ = [
    "Appearance",
    "Cause",
    "Deficit",
    "Diagnosis",
    "HeldOut",
    "Lesions",
    "Part",
    "appearance_of",
    "deficit_of",
    "deficit_rule",
    "diagnose",
    "diagnose_models",
    "drawn_share",
    "learning_rule",
    "part_of",
    "pooled_parts",
]
