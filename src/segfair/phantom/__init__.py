"""The embedded synthetic cohort: 3-phase contrast-enhanced breast MRI with a bias planted in one subgroup.

Breasts, tumours, metadata and a weak model's predictions come from a random generator alone, so that everything in
segfair runs with nothing at hand and against a known truth. The pictures are hard in the ways that matter for an
audit (unequal lesions, overlapping scores, correlated attributes, missing values) and carry no clinical knowledge.
Numpy and scipy.ndimage only; nothing here trains or scores.
"""

from segfair.phantom.cohort import predict_weakly, sample_cases
from segfair.phantom.files import PhantomFiles, write_phantom
from segfair.phantom.geometry import FIELD_OF_VIEW_MM
from segfair.phantom.patients import AGE_GROUPS, DENSITIES, MECHANISMS, SITES, Mechanism
from segfair.phantom.pictures import PHASES, PhantomCase

__all__ = [
    "AGE_GROUPS",
    "DENSITIES",
    "FIELD_OF_VIEW_MM",
    "MECHANISMS",
    "PHASES",
    "SITES",
    "Mechanism",
    "PhantomCase",
    "PhantomFiles",
    "predict_weakly",
    "sample_cases",
    "write_phantom",
]
