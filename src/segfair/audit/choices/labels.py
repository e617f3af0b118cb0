"""Which voxels count as lesion: what was asked for, else what the data set itself names. Reads no mask."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from typing import Any, Literal

from segfair.audit.result import AuditConfig
from segfair.cases import Cohort
from segfair.errors import ConfigError, close_names
from segfair.files.spellings import name_key
from segfair.protocol.rules import LabelRule, LabelValues, Protocol, format_label_values, parse_label_values
from segfair.scoring.scores import MOST_VALUES, ScoreTable, counted_values, label_size_column

__all__ = [
    "absent_regions",
    "check_label_occurs",
    "check_many_values",
    "check_predictions_coded_alike",
    "check_regions_occur",
    "label_notices",
    "labels_are_named",
    "resolve_protocol",
    "value_alerts",
]


def resolve_protocol(config: AuditConfig, cohort: Cohort) -> Protocol:
    """The protocol with the labels that count here.

    They are, in this order: those asked for (`--label`), those that a protocol file of the user's sets, those that the
    data set names itself (`dataset.json`), those of the named protocol. Whichever holds, voxels of the ignore label
    count nowhere: that of the protocol file, else that of the data set.

    Raises:
        ConfigError: Labels that contradict each other, or an ignore label that is to be scored.
    """
    protocol = config.protocol
    ignore = protocol.ignore_label if protocol.ignore_label is not None else cohort.ignore_label
    protocol = protocol.replace(ignore_label=ignore, **_labels(config, cohort))
    counted = counted_values(protocol)
    if ignore is not None and counted != "any" and ignore in counted:
        raise ConfigError(
            f"label {ignore}: is the ignore label, of which no voxel counts; score other values, or ignore none"
        )
    return protocol


def labels_are_named(config: AuditConfig, cohort: Cohort) -> bool:
    """Whether somebody has said which values count, rather than left it to a named protocol.

    Args:
        config: The settings as asked for, before `resolve_protocol`.
        cohort: The cases.
    """
    return bool(config.labels or cohort.label_names or config.protocol.chosen & {"label.overlap", "regions"})


def _labels(config: AuditConfig, cohort: Cohort) -> dict[str, Any]:
    """The fields of the protocol that say which values count."""
    protocol, surface = config.protocol, config.protocol.label.surface
    if config.labels:
        return _asked_for(config.labels, surface, _names(cohort))
    if {"label.overlap", "regions"} & protocol.chosen:
        return {}
    if len(cohort.label_names) == 1:  # one named label is the lesion; several are regions, as nnU-Net scores them
        (values,) = cohort.label_names.values()
        return {"label": LabelRule(values, surface)}
    if cohort.structures and not cohort.label_names:
        raise ConfigError(
            f"labels and predictions share no structure ({', '.join(cohort.structures)}); say which mean the same with "
            "--label, for example --label lesion=NAME,OTHER_NAME"
        )
    return {"regions": dict(cohort.label_names)} if cohort.label_names else {}


def _names(cohort: Cohort) -> dict[str, tuple[int, ...]]:
    """Name -> values: what the data set calls its labels, and its DICOM structures."""
    return {**{name: (value,) for name, value in cohort.structures.items()}, **cohort.label_names}


def _values(text: str, names: Mapping[str, tuple[int, ...]]) -> LabelValues:
    """The values that `any`, numbers or names stand for.

    Raises:
        ConfigError: A name that the data set does not know.
    """
    keyed = {name_key(name): values for name, values in names.items()}
    if name_key(text) in keyed:
        return keyed[name_key(text)]
    parts = [part.strip() for part in text.split(",")]
    if not names or text.strip() == "any" or all(map(_is_whole, parts)):
        return parse_label_values(text)
    found: dict[int, None] = {}
    for part in parts:
        values = keyed.get(name_key(part)) or (parse_label_values(part) if part.isdecimal() else None)
        if values is None:
            raise ConfigError(
                f"--label {text}: {part} is unknown{close_names(part, names)}; known are {', '.join(names)}"
            )
        found |= dict.fromkeys(map(int, values))
    return tuple(found)


def _is_whole(text: str) -> bool:
    return re.fullmatch(r"-?\d+", text) is not None


def _asked_for(
    labels: Sequence[str], surface: Literal["overlap", "any"], names: Mapping[str, tuple[int, ...]]
) -> dict[str, Any]:
    plain = [text for text in labels if "=" not in text]
    if len(plain) > 1 or (plain and len(labels) > 1):
        raise ConfigError(f"--label {' --label '.join(labels)}: give one plain label, or regions as NAME=1,2")
    if plain:
        return {"label": LabelRule(_values(plain[0], names), surface), "regions": {}}
    regions: dict[str, tuple[int, ...]] = {}
    for text in labels:
        name, _, numbers = text.partition("=")
        values = _values(numbers, names)
        if values == "any" or not name.strip():
            raise ConfigError(f"--label {text}: name a region and its values, for example tumour=1,2")
        if name.strip() in regions:
            raise ConfigError(
                f"--label {text}: region {name.strip()} is given twice; name all its values at once, as 1,2"
            )
        regions[name.strip()] = values
    return {"regions": regions}


def label_notices(config: AuditConfig, cohort: Cohort, protocol: Protocol) -> tuple[str, ...]:
    """Which voxels count and who says so, where that is not the named protocol alone."""
    notices = []
    source = _who_names(cohort)
    named = ", ".join(f"{name} = {format_label_values(values)}" for name, values in cohort.label_names.items())
    if config.labels:
        pass  # the command says it
    elif {"label.overlap", "regions"} & config.protocol.chosen:
        if named and counted_values(protocol) != _named_values(cohort):
            notices.append(
                f"labels: {format_label_values(counted_values(protocol))}, as the protocol {protocol.name} says;"
                f" {source} {named}"
            )
    elif named:
        notices.append(f"labels: {named}, as {source} them")
    if protocol.ignore_label is not None:
        source = "dataset.json" if config.protocol.ignore_label is None else f"the protocol {protocol.name}"
        notices.append(f"voxels of label {protocol.ignore_label} count nowhere, as {source} says")
    return tuple(notices)


def _who_names(cohort: Cohort) -> str:
    if cohort.structures:
        return "the DICOM objects name"
    return "the files of structures name" if any(case.structures for case in cohort) else "dataset.json names"


def _named_values(cohort: Cohort) -> tuple[int, ...]:
    return tuple(sorted({value for values in cohort.label_names.values() for value in values}))


def check_label_occurs(scores: ScoreTable) -> None:
    """A label value that no mask holds makes every mask empty, and a model that is always right.

    Raises:
        ConfigError: There are masks, and no label holds what counts as lesion.
    """
    facts = [score.facts for score in scores.scores if score.facts]
    if not facts or any(entry.get("label_voxels") for entry in facts):
        return
    hints = [text for score in scores.scores for text in score.alerts if "is empty under this protocol" in text]
    if hints:
        raise ConfigError(
            f"no label holds what counts as lesion ({hints[0]}); choose with --label, for example --label any"
        )


def check_predictions_coded_alike(scores: ScoreTable, protocol: Protocol) -> None:
    """Masks that are coded otherwise than their labels (1 and 255) look like a model that never finds anything.

    A model that finds other structures of the labels only, and never what counts, is judged as it is.

    Raises:
        ConfigError: Predictions hold values, none that counts and none that any label holds.
    """
    counted = counted_values(protocol)
    in_labels = {value for score in scores.scores for value in score.values_found[0]}
    found = {value for score in scores.scores for value in score.values_found[1]}
    if not found or counted == "any" or found & {*in_labels, *counted}:
        return
    shown = ", ".join(map(str, sorted(found)[:8]))
    raise ConfigError(
        f"no prediction holds what counts as lesion ({format_label_values(counted)}): predictions hold the values "
        f"{shown}, which no label holds; save predictions with the values of the labels, or let every value count with "
        "--label any"
    )


def value_alerts(
    scores: ScoreTable,
    protocol: Protocol,
    cohort: Cohort,
    *,
    roles: Collection[Literal["labels", "predictions"]] = ("labels", "predictions"),
) -> tuple[str, ...]:
    """What the values in the masks say against the labels that count.

    Predictions that hold values which count nowhere, regions that no prediction holds, and labels likewise. The values
    of a case are those that scoring met (`CaseScore.values_found`).

    Args:
        scores: The scored cases.
        protocol: The rules, resolved.
        cohort: Says what values are called.
        roles: Whose values are told.
    """
    counted, n_cases = counted_values(protocol), len(scores.scores)
    names = {value: name for name, values in cohort.label_names.items() for value in values}
    found = []
    for index, role in enumerate(("labels", "predictions")):
        if counted == "any" or role not in roles:
            continue
        stray: Counter[int] = Counter()
        for score in scores.scores:
            stray.update(set(score.values_found[index]) - {*counted, protocol.ignore_label})
        if stray:
            shown = ", ".join(
                f"{value}{f' ({names[value]})' if value in names else ''} in {count}"
                for value, count in sorted(stray.items())[:8]
            )
            more = " and others" if len(stray) > 8 else ""
            kind = "region" if protocol.regions else "label"
            found.append(
                f"{role.capitalize()} hold values that belong to no {kind} that counts"
                f" ({format_label_values(counted)}), of {n_cases} cases: {shown}{more}."
            )
    scored = [score for score in scores.scores if score.penalised is None and "predictions" in roles]
    for region, values in protocol.regions.items():
        in_labels = any(set(values) & set(score.values_found[0]) for score in scored)
        if in_labels and not any(set(values) & set(score.values_found[1]) for score in scored):
            found.append(f"The region {region} ({format_label_values(values)}) occurs in labels and in no prediction.")
    return tuple(found)


def check_many_values(scores: ScoreTable, *, labels_are_named: bool) -> None:
    """A mask of dozens of values is a picture, or has labels that somebody should choose from.

    Raises:
        ConfigError: More values than `MOST_VALUES` in labels or predictions, and nothing names those that count.
    """
    for index, role in enumerate(("label", "prediction")):
        case = next((score for score in scores.scores if len(score.values_found[index]) >= MOST_VALUES), None)
        if case is not None and not labels_are_named:
            shown = ", ".join(map(str, case.values_found[index][:8]))
            raise ConfigError(
                f"the {role} of case {case.case} holds {MOST_VALUES} and more different values ({shown}, ...): choose"
                " those that count with --label (for example --label 1, --label any, or --label NAME=1,2); if it is an"
                " image, hand over the masks"
            )


def absent_regions(scores: ScoreTable, protocol: Protocol) -> tuple[str, ...]:
    """Regions that no label holds: each scores as "both empty" wherever the prediction is empty, too."""
    return tuple(
        region
        for region in protocol.regions
        for size in [label_size_column(scores.names)]
        if f"{size}_{region}" in scores.names and not any(scores.column(f"{size}_{region}"))
    )


def check_regions_occur(scores: ScoreTable, config: AuditConfig) -> None:
    """A mistyped region would be perfect in every case and lift every score.

    Raises:
        ConfigError: A region that was asked for occurs in no label. (One that the data set names itself may be
            absent from the cases at hand; it becomes an alert.)
    """
    absent = absent_regions(scores, config.protocol) if config.labels else ()
    if absent:
        values = ",".join(map(str, config.protocol.regions[absent[0]]))
        raise ConfigError(f"--label {absent[0]}={values}: no label holds it; correct the values, or leave it out")
