"""What the masks themselves say that a reader has to know before believing a score, or that forbids scoring at all.

Works on scores that exist; reads no file.
"""

from __future__ import annotations

from collections.abc import Iterable

from segfair.audit.result import Alert, AuditConfig
from segfair.audit.words import plural
from segfair.errors import ConfigError, InputError, some
from segfair.scoring.reading import GIVEN_SIZE, NO_PREDICTION, OTHER_GRID, OUTSIDE
from segfair.scoring.scores import CaseScore, ScoreTable

__all__ = [
    "COPIED",
    "check_maps",
    "check_threshold",
    "check_usable",
    "copies_labels",
    "mask_alerts",
    "size_alerts",
    "threshold_alert",
]

# Above this share of unusable predictions something is wrong with all of them, not with some cases.
_MOST_UNUSABLE = 0.2
# Resampling may lift a probability a little above 1.
_ABOVE_SHARES = 2.0
# A model may hit a small lesion exactly; from this share of its masks on it is no model's work.
_COPIED = 0.5
# Without a count: how many labels are not empty is nobody's business where labels are private.
COPIED = "at least half of the masks equal the labels voxel for voxel, as copies would"


def check_usable(scores: ScoreTable, config: AuditConfig) -> None:
    """Refuses scores that would mostly tell of files that could not be used, unless that is what was asked for.

    Raises:
        InputError: More than a fifth of the predictions are unusable, and `missing_prediction` does not say what that
            means.
    """
    reasons = scores.penalised
    if config.missing_prediction is not None or len(reasons) <= _MOST_UNUSABLE * len(scores.cases):
        return
    kinds: dict[str, list[str]] = {}
    for case, reason in reasons.items():
        kinds.setdefault(_kind(reason), []).append(case)
    listed = "; ".join(
        f"{len(cases)} {kind}, such as case {cases[0]}"
        + (f" ({reasons[cases[0]]})" if reasons[cases[0]] != NO_PREDICTION else "")
        for kind, cases in sorted(kinds.items(), key=lambda entry: -len(entry[1]))
    )
    raise InputError(
        f"{len(reasons)} of {len(scores.cases)} predictions cannot be used: {listed}. Mend them (resample what lies on "
        "another grid onto the labels' grid; grid.tolerance of a protocol says what is rounding); if only some cases "
        "were predicted, name them with --cases FILE (ids, one a line, or splits_final.json:FOLD) or --where "
        "EXPRESSION; if the model failed on them, choose --missing-prediction worst (they count with the worst score) "
        "or drop (they leave the audit)"
    )


def check_maps(scores: ScoreTable, config: AuditConfig) -> None:
    """Refuses probability maps of which more than a fifth cannot be used, unless unusable files have a meaning.

    Raises:
        InputError: They are too many, or unusable files are an error.
    """
    without = {score.case: score.no_probabilities for score in scores.scores if score.no_probabilities}
    most = 0.0 if config.missing_prediction == "error" else _MOST_UNUSABLE * len(scores.cases)
    if len(without) <= most or config.missing_prediction in ("worst", "drop"):
        return
    case, reason = next(iter(without.items()))
    raise InputError(
        f"{len(without)} of {len(scores.cases)} probability maps cannot be used, such as that of case {case} "
        f"({reason}); mend them, or choose --missing-prediction worst or drop: their cases are then "
        "in no mean of probabilities"
    )


def _kind(reason: str) -> str:
    if reason == NO_PREDICTION:
        return "absent"
    if reason.startswith(OTHER_GRID):
        return "on another grid"
    if OUTSIDE in reason or "from outside of" in reason:
        return "that lead out of their folder"
    if "probability map" in reason:
        return "probability maps"
    return "that cannot be read, or are no masks"


def check_threshold(tables: Iterable[ScoreTable], threshold: float | None) -> None:
    """Refuses a threshold that tells nothing apart in any map.

    Raises:
        ConfigError: It lies above every probability, or not above any, or below 1 where the maps hold whole numbers
            such as 0 to 255.
    """
    tables = tuple(tables)
    found = [score for table in tables for score in table.scores]
    problem = _threshold_problem(found, threshold)
    if not problem:
        # Each team may have a scale of its own, a team has one.
        mixed = [_two_scales(table.scores) for table in tables]
        problem = mixed[0] if all(mixed) else ""
    if problem:
        remedy = "" if "one scale" in problem else "; choose one within that range"
        raise ConfigError(f"--threshold {threshold:g}: {problem}{remedy}")


def threshold_alert(table: ScoreTable, threshold: float | None) -> str:
    """Why a threshold tells nothing apart in the maps of one table; empty where it does."""
    problem = _threshold_problem(table.scores, threshold) or _two_scales(table.scores)
    return f"the threshold {threshold:g} means little here: {problem}" if problem else ""


def _threshold_problem(scores: Iterable[CaseScore], threshold: float | None) -> str:
    maps = [score.facts for score in scores if "prediction_max" in score.facts]
    if threshold is None or not maps:
        return ""
    lowest = min(entry["prediction_min"] for entry in maps)
    highest = max(entry["prediction_max"] for entry in maps)
    span = f"the maps hold values from {lowest:g} to {highest:g}"
    if threshold > highest:
        return f"{span}, so that no voxel reaches it"
    if threshold <= lowest:
        return f"{span}, so that every voxel reaches it"
    if threshold < 1 < highest and all(entry["prediction_whole"] for entry in maps):
        return f"{span}, whole numbers and no probabilities"
    return ""


def _two_scales(scores: Iterable[CaseScore]) -> str:
    """That some maps end at 1 and others far above, as 0 to 255 or per cent do; empty where they do not.

    Logits tell nothing of that kind, and a map of zeros is on any scale.
    """
    maps = [(score.case, score.facts) for score in scores if score.facts.get("prediction_max", 0) > 0]
    if any(entry["prediction_min"] < 0 for _, entry in maps):
        return ""
    shares = [case for case, entry in maps if entry["prediction_max"] <= 1]
    above = [(case, entry["prediction_max"]) for case, entry in maps if entry["prediction_max"] > _ABOVE_SHARES]
    if not shares or not above:
        return ""
    case, highest = above[0]
    return (
        f"{len(shares)} maps hold values up to 1 (case {shares[0]}) and {len(above)} up to {highest:g} and the like "
        f"(case {case}): two scales, of which one threshold fits one; save all maps on one scale"
    )


def mask_alerts(scores: ScoreTable, config: AuditConfig) -> tuple[Alert, ...]:
    """Sizes that are not known, and predictions that are copies of their labels."""
    equal = sum(score.equals_label for score in scores.scores)
    copied = Alert(
        "copied",
        f"{equal} of {plural(len(scores.cases), 'prediction')} equal their label voxel for voxel (empty labels left "
        "out). A model hits a small lesion exactly now and then; make sure that the rest are no copies of the labels.",
    )
    return (*size_alerts(scores, config), *([copied] if equal else []), *_map_alerts(scores))


def _map_alerts(scores: ScoreTable) -> list[Alert]:
    """Whose probability maps could not be used, the first of them with what is wrong."""
    without = {score.case: score.no_probabilities for score in scores.scores if score.no_probabilities}
    if not without:
        return []
    named = some([f"{case}: {reason}" for case, reason in without.items()])
    return [
        Alert(
            "cases",
            f"{len(without)} of {plural(len(scores), 'probability map')} cannot be used, and their cases are in no mean"
            f" of probabilities ({named}); audit.json names each.",
        )
    ]


def size_alerts(scores: ScoreTable, config: AuditConfig) -> tuple[Alert, ...]:
    """That lengths are in pixels or voxels, or that a size that was given was not needed."""
    of_masks = [score for score in scores.scores if "n_lesions" in score.facts]
    sized = [score for score in of_masks if "voxel_volume_mm3" in score.facts]
    flat = [score.case for score in sized if "spacing_z_mm" not in score.facts]
    if flat and len(flat) < len(sized):
        return (
            Alert(
                "size",
                f"{len(flat)} of {len(sized)} labels have two axes, such as {flat[0]}, the others three: the size of "
                "a lesion is an area in mm² here and a volume in mm³ there, and distances run in a plane or in space. "
                "Audit them on their own.",
            ),
        )
    if config.spacing_mm is not None:
        if any(text.startswith(GIVEN_SIZE) for score in of_masks for text in score.alerts):
            return ()
        return (Alert("size", "--spacing was not needed: the file of every label says how large a voxel is."),)
    if not of_masks or any("voxel_volume_mm3" in score.facts for score in of_masks):
        return ()
    rule = config.protocol.normhd
    pixel, areas, axes = (
        ("pixel", "areas in px²", "X Y") if rule.unit == "px" else ("voxel", "sizes in voxels", "X Y Z")
    )
    short = "px" if rule.unit == "px" else "voxels"
    return (
        Alert(
            "size",
            f"No label says how large a {pixel} is: lengths are in {short}, {areas}, and NormHD is HD95 in {short} "
            f"over the protocol's {rule.scale:g}. What such a length means depends on the image; give the size with "
            f"--spacing {axes}.",
        ),
    )


def copies_labels(scores: ScoreTable) -> bool:
    """Whether at least half of the masks that could be scored, and whose label is not empty, equal it."""
    usable = [score for score in scores.scores if score.penalised is None and score.facts.get("label_voxels")]
    return bool(usable) and sum(score.equals_label for score in usable) >= _COPIED * len(usable)
