"""The settings of the three-line calls: their names and types, what they may be, and the `AuditConfig` they make.

A name stands for a list of one; a value that cannot be meant is refused here, in terms of Python.
"""

from __future__ import annotations

import dataclasses
import functools
import inspect
import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from numbers import Real
from os import PathLike
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, ParamSpec, TypedDict, TypeVar, get_type_hints

from segfair.audit.result import AuditConfig
from segfair.errors import ConfigError, close_names

if TYPE_CHECKING:
    from segfair.plan.study_plan import StudyPlan
    from segfair.protocol.rules import Protocol

__all__ = [
    "AuditOptions",
    "MaskOptions",
    "Names",
    "RankOptions",
    "audit_config",
    "default_of",
    "lengths_of",
    "names_of",
    "selection",
    "spelt_out",
    "study_plan",
]

Names = str | Sequence[str]
"""One name, or several."""
_Parameters = ParamSpec("_Parameters")
_Result = TypeVar("_Result")
_READINGS = ("categorical", "ordered", "numeric")
_PLAIN = (
    *("min_cases", "permutations", "bootstrap", "seed", "stratify", "min_support", "max_items", "level", "failure_dsc"),
    *("power_gap", "missing_prediction", "threshold", "derive", "strict", "subject_column", "unit", "other_tools"),
)
"""Settings that are handed on as they are."""
_DEFAULTS: Mapping[str, Any] = {
    **{"protocol": "default", "outcome": "dsc", "bins": {}, "margin": {}, "join": ()},
    **dict.fromkeys(_READINGS, ()),
}
"""Defaults of settings that `AuditConfig` calls or spells otherwise."""
_SELECTION = ("id_column", "subject_column", "sheet", "cases", "where")


class RankOptions(TypedDict, total=False):
    """What every call may be told.

    Attributes:
        protocol: Scoring rules: "default", "mama-mia", a TOML file, or a `Protocol`.
        id_column, subject_column, sheet, cases, where: See `segfair.load_cohort`.
        attributes: Metadata columns to use; every usable one without it.
        bins: Column -> bin edges, or "tree".
        categorical, ordered, numeric: Columns that are meant so.
        join: Texts that are one level: "COLUMN: a, b = c".
        min_cases: Smallest subgroup that is judged.
        permutations, bootstrap: Numbers of resamples.
        seed: Seed of everything random.
    """

    protocol: str | PathLike[str] | Protocol
    id_column: str | None
    subject_column: str | None
    sheet: str | None
    cases: str | PathLike[str] | None
    where: str | None
    attributes: Names | None
    bins: Mapping[str, Sequence[float] | Literal["tree"]]
    categorical: Names
    ordered: Names
    numeric: Names
    join: Names
    min_cases: int
    permutations: int
    bootstrap: int
    seed: int


class AuditOptions(RankOptions, total=False):
    """What every audit may be told besides.

    Attributes:
        plan: TOML file with the table of `segfair plan`: its settings hold wherever yours are the defaults.
        primary: Attributes fixed beforehand, tested as a family of their own.
        margin: Outcome -> largest deficit that does not matter.
        stratify: Column to compare within.
        adjust: Covariates of the adjusted differences; () for none.
        min_support: Smallest share of the cases of a subgroup, from 0 to 1.
        max_items: Most attributes of a combination.
        level: Family-wise error level.
        failure_dsc: A case with a DSC below it counts as failed.
        power_gap: The gap for which the report says how many cases it takes.
    """

    plan: str | PathLike[str] | None
    primary: Names
    margin: Mapping[str, float]
    stratify: str | None
    adjust: Names | None
    min_support: float
    max_items: int | None
    level: float
    failure_dsc: float
    power_gap: float


class MaskOptions(AuditOptions, total=False):
    """What an audit of masks may be told besides.

    Attributes:
        outcome: Metrics whose subgroups are examined; the first is the primary one.
        metrics: Metrics to compute; the protocol's without it.
        label: Which voxels count: 1, "any", or regions as {"tumour": (1, 2)}.
        missing_prediction: What an unusable prediction means.
        dicom_series: Folder of the image series that DICOM masks were drawn on, where they do not lie beside them.
        dicom_attributes: Metadata from DICOM headers: "all", or names such as "sex,age".
        threshold: Predictions are probabilities, a voxel is lesion from this value on.
        derive: Whether lesion volume, number of lesions and spacing become attributes.
        strict: Whether the first unusable mask is an error.
        lesions: Also score lesions one by one, as "brats", "panoptica" or "voronoi" finds them.
        unit: What is compared: a "case", or each "lesion" of the labels.
        other_tools: Whether to score by the definitions of MONAI, nnU-Net and others as well, and tell what changes.
    """

    outcome: Names
    metrics: Names | None
    label: int | str | Mapping[str, int | Sequence[int]] | None
    missing_prediction: Literal["worst", "drop", "error"] | None
    dicom_series: str | PathLike[str] | None
    dicom_attributes: Names | None
    threshold: float | None
    derive: bool
    strict: bool
    lesions: Literal["brats", "panoptica", "voronoi"] | None
    unit: Literal["case", "lesion"]
    other_tools: bool


def _is_number(value: object) -> bool:
    return isinstance(value, Real) and not isinstance(value, bool) and math.isfinite(value)


def _from(least: int) -> tuple[Callable[[Any], bool], str]:
    return lambda value: _is_number(value) and value == int(value) and value >= least, f"a whole number from {least} on"


_RULES: Mapping[str, tuple[Callable[[Any], bool], str]] = {
    "failure_dsc": (lambda value: _is_number(value) and 0 <= value <= 1, "a DSC from 0 to 1 is meant"),
    "power_gap": (lambda value: _is_number(value) and value > 0, "a positive number is meant"),
    "threshold": (lambda value: value is None or _is_number(value), "a number is meant, such as 0.5"),
    "missing_prediction": (
        lambda value: value in (None, "worst", "drop", "error"),
        '"worst", "drop" or "error" is meant',
    ),
    "min_cases": _from(1),
    "max_items": (lambda value: value is None or _from(1)[0](value), "a whole number from 1 on is meant, or None"),
    "permutations": _from(19),
    "bootstrap": _from(100),
    "seed": _from(0),
}
"""Setting -> whether a value can be meant, and what is."""


def spelt_out(options: type) -> Callable[[Callable[_Parameters, _Result]], Callable[_Parameters, _Result]]:
    """Makes `**options` of a function known by name, to whoever completes, inspects or mistypes them.

    Args:
        options: The typed dictionary that they are.
    """
    known = get_type_hints(options, localns=_hinted())
    listed = [
        inspect.Parameter(name, inspect.Parameter.KEYWORD_ONLY, default=default_of(name), annotation=known[name])
        for name in known
    ]

    def spell_out(function: Callable[_Parameters, _Result]) -> Callable[_Parameters, _Result]:
        signature = inspect.signature(function)
        own = [entry for entry in signature.parameters.values() if entry.kind is not inspect.Parameter.VAR_KEYWORD]

        @functools.wraps(function)
        def call(*args: _Parameters.args, **kwargs: _Parameters.kwargs) -> _Result:
            every = {*known, *(entry.name for entry in own)}
            unknown = [name for name in kwargs if name not in every]
            if unknown:
                raise TypeError(
                    f"{function.__name__}() has no setting {unknown[0]!r}{close_names(unknown[0], every)}; "
                    f"there are {', '.join(sorted(every))}"
                )
            return function(*args, **kwargs)

        call.__signature__ = signature.replace(parameters=[*own, *listed])  # type: ignore[attr-defined]
        return call

    return spell_out


def default_of(setting: str) -> Any:
    """What holds where a setting is not given: the default of the command line."""
    if setting in _DEFAULTS:
        return _DEFAULTS[setting]
    return next((field.default for field in dataclasses.fields(AuditConfig) if field.name == setting), None)


def _hinted() -> dict[str, object]:
    """What the hints of the options name and this module does not import, so that it stays light."""
    return {"Protocol": Any}


def names_of(value: Names | None, setting: str) -> tuple[str, ...]:
    """One name or several as a tuple; none of None.

    Raises:
        ConfigError: Something else than texts.
    """
    if value is None:
        return ()
    names = (value,) if isinstance(value, str) else tuple(value) if isinstance(value, Iterable) else (value,)
    wrong = [name for name in names if not isinstance(name, str) or not name]
    if wrong:
        raise ConfigError(f"{setting}={value!r}: holds {wrong[0]!r}; a name is meant, or a list of names")
    return names


def lengths_of(spacing: Sequence[float]) -> tuple[float, ...]:
    """Lengths of a voxel's edges in mm.

    Raises:
        ConfigError: No numbers, or one for all axes.
    """
    try:
        return tuple(map(float, spacing))
    except (TypeError, ValueError):
        raise ConfigError(
            f"spacing={spacing!r}: a length in mm for each axis is meant, such as (0.5, 0.5) or (0.7, 0.7, 2.5)"
        ) from None


def selection(options: Mapping[str, Any]) -> dict[str, Any]:
    """What every loader of a cohort is told about the table and the cases that count, by options or the plan."""
    found = {name: options[name] for name in _SELECTION if options.get(name) is not None}
    if (plan := study_plan(options)) is not None:
        planned = {"where": plan.where, "subject_column": plan.config.subject_column}
        found = {name: value for name, value in planned.items() if value is not None} | found
    return found | ({"cases": str(Path(found["cases"]))} if isinstance(found.get("cases"), PathLike) else {})


def audit_config(options: Mapping[str, Any], *, spacing: Sequence[float] | None = None) -> AuditConfig:
    """The settings of an audit or a ranking.

    Args:
        options: Those of `MaskOptions` that were given.
        spacing: Voxel size of masks whose file does not say it.

    Raises:
        ConfigError: A value that cannot be meant; it says what is.
    """
    from segfair.attributes.binning import readings_of
    from segfair.attributes.joins import parse_join

    for name, (fits, meant) in _RULES.items():
        if name in options and not fits(options[name]):
            raise ConfigError(f"{name}={options[name]!r}: {meant}{'' if 'meant' in meant else ' is meant'}")
    outcomes = names_of(options.get("outcome", "dsc"), "outcome")
    if not outcomes:
        raise ConfigError("outcome=(): name at least one metric, for example 'dsc'")
    given: dict[str, Any] = {name: options[name] for name in _PLAIN if name in options}
    if options.get("attributes") is not None:
        given["attributes"] = names_of(options["attributes"], "attributes")
    if options.get("adjust") is not None:
        given["adjust"] = names_of(options["adjust"], "adjust")
    config = AuditConfig(
        _protocol(options, outcomes),
        labels=_labels(options.get("label")),
        outcomes=outcomes,
        primary=names_of(options.get("primary"), "primary"),
        bins=_bins(options.get("bins", {})),
        read_as=readings_of(
            **{name: names_of(options.get(name), name) for name in ("categorical", "ordered", "numeric")}
        ),
        join=tuple(map(parse_join, names_of(options.get("join"), "join"))),
        margin=_margin(options.get("margin", {})),
        spacing_mm=None if spacing is None else lengths_of(spacing),
        **given,
    )
    plan = study_plan(options)
    return config if plan is None else plan.applied(config)


def study_plan(options: Mapping[str, Any]) -> StudyPlan | None:
    """What was fixed beforehand; None: nothing was.

    Raises:
        ConfigError: The file holds no plan.
    """
    if options.get("plan") is None:
        return None
    from segfair.plan.study_plan import read_plan

    return read_plan(Path(options["plan"]))


def _protocol(options: Mapping[str, Any], outcomes: Sequence[str]) -> Protocol:
    from segfair.protocol.rules import Protocol, load_protocol
    from segfair.scoring.metrics import METRICS

    asked = options.get("protocol", "default")
    rules = asked if isinstance(asked, Protocol) else load_protocol(asked if isinstance(asked, str) else Path(asked))
    if options.get("lesions") is not None:
        rules = rules.with_lesions(options["lesions"])
    metrics = names_of(options.get("metrics"), "metrics")
    unknown = [name for name in metrics if name not in METRICS]
    if unknown:
        raise ConfigError(
            f"metrics={unknown[0]!r}: no such metric{close_names(unknown[0], METRICS)}; known are {', '.join(METRICS)}"
        )
    # An outcome has to be scored to be examined.
    wanted = dict.fromkeys([*metrics, *(name for name in outcomes if name in METRICS)])
    return rules.replace(metrics=tuple(wanted)) if metrics else rules


def _labels(label: object) -> tuple[str, ...]:
    """Which voxels count, as the settings spell it."""
    if label is None:
        return ()
    if isinstance(label, Mapping):
        return tuple(f"{name}={_values(values)}" for name, values in label.items())
    return (label,) if isinstance(label, str) else (_values(label),)


def _values(values: object) -> str:
    return ",".join(map(str, values)) if isinstance(values, Sequence) and not isinstance(values, str) else str(values)


def _bins(bins: object) -> dict[str, tuple[float, ...] | Literal["tree"]]:
    if not isinstance(bins, Mapping):
        raise ConfigError(f"bins={bins!r}: a dictionary is meant, such as {{'age': [0, 50, 100]}}")
    found: dict[str, tuple[float, ...] | Literal["tree"]] = {}
    for column, edges in bins.items():
        if edges == "tree":
            found[column] = "tree"
            continue
        listed = list(edges) if isinstance(edges, Iterable) and not isinstance(edges, str) else []
        are_numbers = all(isinstance(edge, Real) and not math.isnan(edge) for edge in listed)
        if len(listed) < 2 or not are_numbers or listed != sorted(set(listed)):
            raise ConfigError(
                f"bins={{{column!r}: {edges!r}}}: two or more rising numbers are meant, such as [0, 50, 100], or 'tree'"
            )
        found[column] = tuple(map(float, listed))
    return found


def _margin(margin: object) -> dict[str, float]:
    if not isinstance(margin, Mapping) or not all(_is_number(value) and value > 0 for value in margin.values()):
        raise ConfigError(f"margin={margin!r}: a dictionary of positive numbers is meant, such as {{'dsc': 0.05}}")
    return {name: float(value) for name, value in margin.items()}
