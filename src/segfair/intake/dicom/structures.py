"""What the segments and regions of interest of a cohort mean: one value a name, and which of them count.

Numbers are each file's own; names say what is meant. Names are compared in lower case, with blanks, `_` and `-` as one.
Reads no file.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

from segfair.cases import Case, Cohort, DicomMask, MaskRole
from segfair.errors import some
from segfair.files.dicom.index import DicomObject
from segfair.files.spellings import name_key
from segfair.protocol.rules import Protocol
from segfair.scoring.scores import counted_values

__all__ = ["Meaning", "structure_meaning", "with_structures"]


@dataclass(frozen=True, slots=True)
class Meaning:
    """The values of structures.

    Attributes:
        value_of: Key of a name -> its value.
        structures: Name, as labels spell it -> its value.
        scored: The names of `structures` that are scored unless somebody names others: those on both sides.
        notices: Sentences for the reader.
    """

    value_of: Mapping[str, int]
    structures: Mapping[str, int]
    scored: tuple[str, ...]
    notices: tuple[str, ...] = ()

    def values(self, found: DicomObject) -> dict[int, int]:
        """Number of each structure of an object -> its value."""
        return {number: self.value_of[name_key(name)] for number, name in found.structures.items()}


def structure_meaning(
    objects: Mapping[MaskRole, Sequence[DicomObject]], named: Mapping[str, Collection[int]]
) -> Meaning:
    """Gives each name of a structure a value.

    A name that the data set knows has its value there. Else, where every object of a role holds one structure of one
    name, it is 1, as in other mask files; else values are the numbers, where each name has one number everywhere, and
    otherwise counted from 1 in the order of the names.

    Args:
        objects: The objects of each role that has any.
        named: Name -> values, as a `dataset.json` has them.
    """
    spelt: dict[str, str] = {}
    numbers: dict[str, set[int]] = {}
    of_role: dict[MaskRole, list[str]] = {}
    for role in sorted(objects):
        keys: dict[str, None] = {}
        for found in objects[role]:
            for number, name in found.structures.items():
                key = name_key(name)
                spelt.setdefault(key, name)
                numbers.setdefault(key, set()).add(number)
                keys[key] = None
        of_role[role] = list(keys)
    single = all(len(keys) == 1 for keys in of_role.values())
    value_of = _known(spelt, named)
    if not value_of and single:
        value_of = dict.fromkeys(spelt, 1)
    value_of |= _rest([key for key in spelt if key not in value_of], numbers, set(value_of.values()))
    common = [key for key in spelt if all(key in keys for keys in of_role.values())]
    notices: tuple[str, ...] = ()
    if single and len(spelt) == 2:
        first, second = (spelt[keys[0]] for keys in of_role.values())
        notices = (f"DICOM: each label holds the one structure {first}, each prediction {second}: taken for the same",)
        common = [of_role["label"][0]]
    structures = {spelt[key]: value_of[key] for key in sorted(spelt, key=lambda key: (value_of[key], key))}
    return Meaning(value_of, structures, tuple(name for name in structures if name_key(name) in common), notices)


def _known(spelt: Collection[str], named: Mapping[str, Collection[int]]) -> dict[str, int]:
    known = {name_key(name): next(iter(values)) for name, values in named.items() if len(values) == 1}
    return {key: known[key] for key in spelt if key in known}


def _rest(keys: Sequence[str], numbers: Mapping[str, set[int]], taken: set[int]) -> dict[str, int]:
    """The values of names that nobody else gave one."""
    found = {key: next(iter(numbers[key])) for key in keys if len(numbers[key]) == 1}
    own = set(found.values())
    if len(found) == len(keys) == len(own) and not own & taken and min(own, default=1) > 0:
        return found
    free = (value for value in range(1, len(keys) + len(taken) + 1) if value not in taken)
    return dict(zip(sorted(keys), free, strict=False))


def with_structures(cohort: Cohort, protocol: Protocol) -> Cohort:
    """The cohort with each DICOM mask told which of its structures are read.

    Those that count; and, where the surfaces are those of anything, the others beneath them. Structures that count as
    one have one value, so that they may overlap.
    """
    if not any(case.dicom for case in cohort):
        return cohort
    return dataclasses.replace(cohort, cases=tuple(_narrowed(case, protocol, cohort.structures) for case in cohort))


def _narrowed(case: Case, protocol: Protocol, structures: Mapping[str, int]) -> Case:
    dicom = {role: _chosen(meant, protocol, structures) for role, meant in case.dicom.items()}
    return dataclasses.replace(case, dicom=dicom) if dicom else case


def _chosen(meant: DicomMask, protocol: Protocol, structures: Mapping[str, int]) -> DicomMask:
    counted = counted_values(protocol)
    values = meant.values or {}
    if counted == "any":
        return dataclasses.replace(meant, values=dict.fromkeys(values, 1))
    chosen = {number: value for number, value in values.items() if value in counted}
    notes = meant.notes
    if values and not chosen:
        names = {value: name for name, value in structures.items()}
        wanted, held = (some([names.get(value, value) for value in found], 6) for found in (counted, values.values()))
        notes = (*notes, f"holds none of the structures that count ({wanted}), but {held}")
    if protocol.regions:
        return dataclasses.replace(meant, values=chosen, notes=notes)
    values_as_one = dict.fromkeys(chosen, counted[0])
    if protocol.label.surface != "any":
        return dataclasses.replace(meant, values=values_as_one, notes=notes)
    other = next(value for value in range(1, 255) if value not in (*counted, protocol.ignore_label))
    beneath = tuple(number for number in values if number not in chosen)
    return dataclasses.replace(
        meant, values={**dict.fromkeys(beneath, other), **values_as_one}, beneath=beneath, notes=notes
    )
