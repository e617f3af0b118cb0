"""DICOM objects of one role as files of cases: what each is called, and which prediction belongs to which label.

Objects belong together by the image series that they were drawn on, else by study, else by patient, each only where
just one label and one prediction come into question. Files of another format are named after one of these.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence

from segfair.files.dicom.index import DicomObject
from segfair.files.layouts import MaskFolder, pair_masks
from segfair.files.spellings import AS_TEXT, Spellings

__all__ = ["pair_folders"]

_RUNGS: Mapping[str, Callable[[DicomObject], Sequence[str]]] = {
    "by the image series that they were drawn on": lambda found: found.series,
    "by study": lambda found: (found.study,),
    "by patient": lambda found: (found.patient,),
}


def pair_folders(labels: MaskFolder, predictions: MaskFolder, in_question: Sequence[str]) -> Spellings:
    """Which prediction belongs to which label, and how they were paired, whichever of them are DICOM objects.

    Args:
        labels: The labels.
        predictions: The predictions.
        in_question: Names of the predictions that may belong to a label; of trees of DICOM all do.
    """
    case_ids = sorted(labels.files)
    if not labels.dicom and not predictions.dicom:
        return pair_masks(case_ids, in_question)
    if labels.dicom and predictions.dicom:
        return _by_uids(case_ids, labels.dicom, predictions.dicom)
    if labels.dicom:
        return _turned_round(_by_names(list(predictions.files), labels.dicom))
    return _by_names(case_ids, predictions.dicom)


def _by_uids(
    case_ids: Sequence[str], labels: Mapping[str, DicomObject], predictions: Mapping[str, DicomObject]
) -> Spellings:
    partner: dict[str, str] = {}
    how: dict[str, str] = {}
    for name, keys in _RUNGS.items():
        waiting = {case: labels[case] for case in case_ids if case not in partner}
        others = {case: found for case, found in predictions.items() if case not in partner.values()}
        theirs = _by_key(others, keys)
        for key, mine in _by_key(waiting, keys).items():
            if len(mine) == 1 and len(theirs.get(key, ())) == 1 and mine[0] not in partner:
                partner[mine[0]] = theirs[key][0]
                how[mine[0]] = AS_TEXT if mine[0] == theirs[key][0] else name
    if not partner:  # pseudonymised one by one, and called alike nevertheless
        return pair_masks(case_ids, list(predictions))
    return Spellings({case: partner[case] for case in case_ids if case in partner}, how)


def _by_key(objects: Mapping[str, DicomObject], keys: Callable[[DicomObject], Sequence[str]]) -> dict[str, list[str]]:
    found: dict[str, list[str]] = {}
    for case, entry in objects.items():
        for key in filter(None, keys(entry)):
            found.setdefault(key, []).append(case)
    return found


def _by_names(names: Sequence[str], objects: Mapping[str, DicomObject]) -> Spellings:
    """Files named after a patient, a study, a series or the object's own file; the kind that most are named after."""
    ways: Mapping[str, Callable[[DicomObject], Sequence[str]]] = {
        "by patient": lambda found: (found.patient,),
        "by study": lambda found: (found.study,),
        "by the image series that they were drawn on": lambda found: found.series,
        "by file name": lambda found: (found.path.stem,),
    }
    best = pair_masks(names, list(objects))
    for name, keys in ways.items():
        unique = {key: cases[0] for key, cases in _by_key(objects, keys).items() if len(cases) == 1}
        found = pair_masks(names, list(unique))
        if len(found.partner) > len(best.partner):
            partner = {case: unique[spelt] for case, spelt in found.partner.items()}
            twice = {case for case, n in Counter(partner.values()).items() if n > 1}
            partner = {case: own for case, own in partner.items() if own not in twice}
            best = Spellings(partner, dict.fromkeys(partner, name))
    return best


def _turned_round(found: Spellings) -> Spellings:
    partner = {label: name for name, label in found.partner.items()}
    return Spellings(partner, {label: found.how.get(name, AS_TEXT) for label, name in partner.items()})
