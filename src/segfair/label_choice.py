"""Which voxels count as lesion: what was asked for, else what the data set itself names. Reads no mask."""

from __future__ import annotations

from segfair.cases import Cohort
from segfair.errors import ConfigError
from segfair.protocol import LabelRule, Protocol, parse_label_values
from segfair.results import AuditConfig
from segfair.scores import ScoreTable, label_size_column

__all__ = ["absent_regions", "check_label_occurs", "check_regions_occur", "resolve_protocol"]


def resolve_protocol(config: AuditConfig, cohort: Cohort) -> Protocol:
    """The protocol with the labels that count here: those asked for, else those the data set names itself.

    Raises:
        ConfigError: Labels that contradict each other.
    """
    protocol = config.protocol
    if config.labels:
        plain = [text for text in config.labels if "=" not in text]
        if len(plain) > 1 or (plain and len(config.labels) > 1):
            raise ConfigError(
                f"--label {' --label '.join(config.labels)}: give one plain label, or regions as NAME=1,2"
            )
        if plain:
            rule = LabelRule(parse_label_values(plain[0]), protocol.label.surface)
            return protocol.replace(label=rule, regions={}, ignore_label=cohort.ignore_label)
        regions: dict[str, tuple[int, ...]] = {}
        for text in config.labels:
            name, _, numbers = text.partition("=")
            values = parse_label_values(numbers)
            if values == "any" or not name.strip():
                raise ConfigError(f"--label {text}: name a region and its values, for example tumour=1,2")
            regions[name.strip()] = values
        return protocol.replace(regions=regions, ignore_label=cohort.ignore_label)
    if cohort.label_names and not protocol.regions and protocol.label == LabelRule():
        # One named label is the lesion; several are regions of their own, as nnU-Net scores them.
        if len(cohort.label_names) == 1:
            (values,) = cohort.label_names.values()
            return protocol.replace(label=LabelRule(values), ignore_label=cohort.ignore_label)
        return protocol.replace(regions=dict(cohort.label_names), ignore_label=cohort.ignore_label)
    return protocol


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
