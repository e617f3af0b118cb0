"""Metadata columns -> categorical attributes; bins are fitted once and can be applied to other cases.

Decides which columns become attributes and which do not, and says why. Nothing drops out in silence: what was
merged, left out or counted as missing stands in `left_out` and `notices`. Reads no file and scores nothing. Longer
than other modules because fitting and applying a plan are two halves of one contract.
"""

from __future__ import annotations

import dataclasses
import itertools
import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from numpy.typing import NDArray

from segfair.attributes.binning import (
    ColumnBins,
    Encoded,
    Inferred,
    ReadAs,
    UnusableColumnError,
    as_number,
    finite_numbers,
    fold,
    infer_bins,
    level_text,
    number_bins,
)
from segfair.attributes.joins import LevelJoin, join_levels, join_values, joins_of
from segfair.cases import Cohort
from segfair.errors import ConfigError, MetadataError, close_names, cut_text, quoted, some
from segfair.files.cells import is_missing, of_each
from segfair.protocol.rules import AttributeRule, Protocol
from segfair.trees import structure, tree_converter

if TYPE_CHECKING:
    import pandas as pd

__all__ = [
    "Attribute",
    "AttributeBins",
    "AttributeTable",
    "BinningPlan",
    "ColumnReading",
    "check_attributes",
    "fit_attributes",
    "parse_bins",
]

FORMAT = 1
MISSING = "missing"
DROP = "drop"
# A level is two bytes in every table; nobody reads of more groups than this.
_MOST_LEVELS = 10_000
Edges = Sequence[float] | Literal["tree"]


@dataclass(frozen=True, slots=True, eq=False)
class Attribute:
    """One categorical attribute of some cases.

    Attributes:
        name: What the report calls it.
        levels: Levels in display order: bins rising, the protocol's order, else natural order; the level of missing
            values is last. A level of given bins or of a protocol may have no case.
        codes: (n_cases,) index into levels; -1: the case drops out of this attribute only.
        column: Metadata column that it was made from.
        binning: How its levels came about, in words.
        edges: Finite bin edges of a number, else empty. Bins are open on the left and closed on the right;
            quartiles have one more bin at either end.
        missing: The level of missing values; empty where there is none, or nobody knows.
    """

    name: str
    levels: tuple[str, ...]
    codes: NDArray[np.int16]
    column: str
    binning: str
    edges: tuple[float, ...] = ()
    missing: str = ""


@dataclass(frozen=True, slots=True)
class ColumnReading:
    """How a metadata column was read, in a word or two, and why."""

    kind: str
    why: str


@dataclass(frozen=True, slots=True, eq=False)
class AttributeTable:
    """The attributes of some cases.

    Attributes:
        case_ids: Cases in row order.
        attributes: Attributes in column order.
        left_out: Metadata column, or attribute of the protocol -> why it became no attribute.
        notices: Sentences for the reader: spellings merged, values that count as missing.
        read_as: Metadata column -> how it was read, used or not, and why.
        alerts: What a reader must know before believing a result: columns left out that one would expect.
    """

    case_ids: tuple[str, ...]
    attributes: tuple[Attribute, ...]
    left_out: Mapping[str, str]
    notices: tuple[str, ...] = ()
    read_as: Mapping[str, ColumnReading] = field(default_factory=dict)
    alerts: tuple[str, ...] = ()

    def __getitem__(self, name: str) -> Attribute:
        for attribute in self.attributes:
            if attribute.name == name:
                return attribute
        raise KeyError(name)

    @property
    def codes(self) -> NDArray[np.int16]:
        """(n_attributes, n_cases) level of each case; -1 where it drops out."""
        stacked = np.array([attribute.codes for attribute in self.attributes], dtype=np.int16)
        return stacked.reshape(len(self.attributes), len(self.case_ids))

    def labels(self) -> dict[str, list[str | None]]:
        """Attribute -> level of each case; None where the case drops out."""
        return {
            attribute.name: [attribute.levels[code] if code >= 0 else None for code in attribute.codes]
            for attribute in self.attributes
        }

    def select(self, indices: NDArray[np.intp]) -> AttributeTable:
        """The rows `indices` in that order; levels stay, also those without a case."""
        return dataclasses.replace(
            self,
            case_ids=tuple(self.case_ids[index] for index in indices),
            attributes=tuple(dataclasses.replace(entry, codes=entry.codes[indices]) for entry in self.attributes),
        )

    def to_frame(self) -> pd.DataFrame:
        """One row a case, indexed by case id; None where the case drops out."""
        import pandas as pd

        index = pd.Index(list(self.case_ids), name="case", dtype=object)
        return pd.DataFrame(self.labels(), index=index, dtype=object)


@dataclass(frozen=True, slots=True)
class AttributeBins:
    """How one attribute is made from a column.

    Attributes:
        name: The attribute.
        column: The metadata column.
        bins: How its values become levels.
        missing: Level of missing values, or "drop".
        had_missing: Whether values were missing when the bins were fitted; the level then always exists.
        joined: (folded text, level) of texts that are replaced before they are binned.
    """

    name: str
    column: str
    bins: ColumnBins
    missing: str
    had_missing: bool
    joined: tuple[tuple[str, str], ...] = ()

    def apply(self, values: Sequence[object]) -> tuple[Attribute, list[str]]:
        """The attribute of some cases, and what a reader has to know."""
        levels = self.bins.levels
        if len(levels) > _MOST_LEVELS:
            raise ConfigError(
                f"{self.name}: has {len(levels):,} levels, and at most {_MOST_LEVELS:,} are told apart; give fewer"
                " edges with --bins, or leave it out with --attributes"
            )
        encoded = self.bins.encode(join_values(values, dict(self.joined)))
        codes = np.array(encoded.codes, dtype=np.int16)
        if self.missing != DROP:
            if self.missing not in levels and (self.had_missing or (codes < 0).any()):
                levels = (*levels, self.missing)
            if self.missing in levels:
                codes[codes < 0] = levels.index(self.missing)
        missing = self.missing if self.missing in levels else ""
        made = Attribute(self.name, levels, codes, self.column, self.bins.binning, self.bins.edges, missing)
        return made, self._notices(encoded)

    def _notices(self, encoded: Encoded) -> list[str]:
        fate = "left out of it" if self.missing == DROP else f"counted as {self.missing}"
        notices = []
        if encoded.n_outside:
            outside = self.bins.kind == "bins"
            what = f"values outside of the bins ({self.bins.binning})" if outside else "infinite values"
            notices.append(f"{self.name}: {what}, {fate}: {encoded.n_outside}")
        if encoded.unseen:
            examples = some(repr(value) for value, _ in encoded.unseen.most_common())
            what = {
                "bins": "values that are no numbers",
                "contains": f"values that contain none of {', '.join(word for word, _ in self.bins.contains)}",
                "levels": f"values that are none of its levels ({self.bins.binning})",
            }[self.bins.kind]
            notices.append(f"{self.name}: {what}, {fate}: {encoded.unseen.total()} ({examples})")
        return notices


@dataclass(frozen=True, slots=True)
class BinningPlan:
    """How metadata columns become attributes, fitted once.

    Applied to other cases, the levels keep their order and codes. A value that did not occur when the levels were
    fitted counts as missing, with a notice: a level of its own would shift codes between training and test.

    Attributes:
        attributes: One entry an attribute, in order.
        left_out: Column, or attribute of the protocol -> why it became no attribute.
        notices: What was noticed while fitting.
        read_as: Column -> how it was read, and why.
        alerts: See `AttributeTable`.
    """

    attributes: tuple[AttributeBins, ...]
    left_out: Mapping[str, str] = field(default_factory=dict)
    notices: tuple[str, ...] = ()
    read_as: Mapping[str, ColumnReading] = field(default_factory=dict)
    alerts: tuple[str, ...] = ()

    def apply(self, cohort: Cohort) -> AttributeTable:
        """The attributes of a cohort.

        Raises:
            MetadataError: The cohort lacks a column that the plan needs.
        """
        absent = [entry.column for entry in self.attributes if entry.column not in cohort.columns]
        if absent:
            raise MetadataError(
                f"metadata has no column {', '.join(absent)}, from which attributes were made before; columns are"
                f" {some(cohort.columns, 20)}"
            )
        made = [entry.apply(cohort.column(entry.column)) for entry in self.attributes]
        return AttributeTable(
            cohort.ids,
            tuple(attribute for attribute, _ in made),
            dict(self.left_out),
            (*self.notices, *itertools.chain.from_iterable(notices for _, notices in made)),
            self.read_as,
            self.alerts,
        )

    def to_dict(self) -> dict[str, Any]:
        """The plan as plain dicts, lists, texts and finite numbers, as JSON would give it back."""
        return {"format": FORMAT, **_converter.unstructure(self)}

    @classmethod
    def from_dict(cls, tree: Mapping[str, Any]) -> BinningPlan:
        """The inverse of `to_dict`, also after a trip through JSON.

        Raises:
            ConfigError: Not a plan of this format.
        """
        if tree.get("format") != FORMAT:
            raise ConfigError(f"bins: format is {tree.get('format')!r}, this version reads format {FORMAT}")
        plan = {key: value for key, value in tree.items() if key != "format"}
        return structure(_converter, plan, cls, source="bins: not a binning plan")


_converter = tree_converter()


def fit_attributes(
    cohort: Cohort,
    *,
    protocol: Protocol,
    chosen: Sequence[str] | None = None,
    edges: Mapping[str, Edges] | None = None,
    max_levels: int = 20,
    subject_column: str | None = None,
    read_as: Mapping[str, ReadAs] | None = None,
    joins: Sequence[LevelJoin] = (),
) -> BinningPlan:
    """Decides which columns become attributes, and how.

    A column that the protocol lists follows its rule, however few levels that leaves. Of other columns, text,
    booleans and small sets of whole numbers are levels as they are (spellings that differ in case or white space are
    one level), and numbers are binned at the given edges, else at their quartiles; see `infer_bins`.
    Left out are dates, columns with one value only or none, identifiers, patients, folds and splits, file names, and
    text of more than `max_levels` kinds.

    Args:
        cohort: The cases.
        protocol: Rules of listed attributes, and whether only those are used.
        chosen: Exactly these columns (or attributes of the protocol), in this order; a chosen text may have more
            than `max_levels` levels. None: the protocol's own, or every usable column.
        edges: Column or attribute -> bin edges, open on the left and closed on the right; they replace a rule's.
        max_levels: Most levels of a text column.
        subject_column: Column that names patients: no attribute unless it is chosen.
        read_as: Column or attribute -> "categorical" (every value is a level), "ordered" (likewise, neighbours in
            groups where they are many) or "numeric" (ranges); it replaces what would be inferred.
        joins: Texts of columns that are one level; the plan joins them in other cases, too.

    Returns:
        The plan; without cases it has no attributes.

    Raises:
        MetadataError: A column that does not exist, or one that was chosen, or given edges, and cannot be used.
        ConfigError: Edges that are not rising numbers, joins that contradict each other or make a level of text among
            ranges of numbers.
    """
    joined = join_levels(cohort, joins)
    return _Fitter(joined, protocol, chosen, edges or {}, max_levels, subject_column, read_as or {}, joins).fit()


def check_attributes(
    cohort: Cohort,
    *,
    protocol: Protocol,
    chosen: Sequence[str] | None = None,
    bins: Mapping[str, Edges] | None = None,
    read_as: Mapping[str, ReadAs] | None = None,
) -> None:
    """Refuses what is chosen, binned or read in a way but not there, before anything is scored.

    Args:
        cohort: The cases.
        protocol: Rules of listed attributes.
        chosen: Columns or attributes of the protocol; None: nothing was chosen.
        bins: Column or attribute -> its edges, or that they are learned.
        read_as: Column or attribute -> how it is read.

    Raises:
        MetadataError: A column that does not exist.
        ConfigError: Edges that are not rising numbers, or both bins and a way of reading of one column.
    """
    edges = {name: each for name, each in (bins or {}).items() if each != "tree"}
    _Fitter(cohort, protocol, chosen, edges, 0, None, read_as or {}, ()).check_names()


def parse_bins(text: str) -> tuple[str, tuple[float, ...] | Literal["tree"]]:
    """`age=0,40,50` -> ("age", (0.0, 40.0, 50.0)); `age=tree` -> ("age", "tree").

    Edges may begin with -inf and end with inf.

    Raises:
        ConfigError: Anything else.
    """
    name, equals, listed = text.rpartition("=")
    name, listed = name.strip(), listed.strip()
    if not equals or not name:
        raise ConfigError(f"bins {quoted(text)}: expected a column and its edges, such as age=0,40,50,60")
    if listed == "tree":
        return name, "tree"
    try:
        edges = tuple(float(part) for part in listed.split(","))
    except ValueError:
        raise ConfigError(f"bins {quoted(text)}: edges must be numbers, such as {cut_text(name)}=0,40,50,60") from None
    _check_edges(name, edges)
    return name, edges


@dataclass(slots=True)
class _Fitter:
    """Fits the columns of one cohort; collects what was left out and noticed."""

    cohort: Cohort
    protocol: Protocol
    chosen: Sequence[str] | None
    edges: Mapping[str, Edges]
    max_levels: int
    subject_column: str | None
    read_as: Mapping[str, ReadAs]
    joins: Sequence[LevelJoin]
    source: dict[str, str | None] = field(default_factory=dict)
    """Attribute of the protocol -> the column that it is made from."""
    left_out: dict[str, str] = field(default_factory=dict)
    notices: list[str] = field(default_factory=list)
    readings: dict[str, ColumnReading] = field(default_factory=dict)
    alerts: list[str] = field(default_factory=list)
    numbers: dict[str, NDArray[np.float64]] = field(default_factory=dict)

    def fit(self) -> BinningPlan:
        self.check_names()
        names = self.names()
        self.tell_unused(names)
        tried = (self.fit_attribute(name) for name in dict.fromkeys(names))
        fitted = [entry for entry in tried if entry is not None]
        if self.chosen is None:
            fitted = self.without_numbers_behind(fitted)
        chosen = self.chosen is not None
        why = "other columns were chosen" if chosen else "the protocol uses the attributes that it lists"
        for column in self.cohort.columns:
            self.readings.setdefault(column, ColumnReading("not used", why))
        return BinningPlan(tuple(fitted), self.left_out, tuple(self.notices), self.readings, tuple(self.alerts))

    def check_names(self) -> None:
        """Finds the columns of listed attributes; refuses options about, and choices of, what is not there."""
        self.check_options()
        self.source = {name: self.column_of(rule) for name, rule in self.protocol.attributes.items()}
        for name in self.chosen or ():
            if self.source.get(name, name) not in self.cohort.columns:
                raise self.unknown(name, "attribute")

    def check_options(self) -> None:
        """Refuses bins and ways of reading of what is not there, and both of one column."""
        known = {*self.cohort.columns, *self.protocol.attributes}
        for name, edges in self.edges.items():
            if name not in known:
                raise self.unknown(name, "bins")
            _check_edges(name, edges)
        for name, kind in self.read_as.items():
            if name not in known:
                raise self.unknown(name, f"--{kind}")
            if name in self.edges:
                raise ConfigError(f"--{kind} {name} and --bins {name}: one of them can hold")

    def names(self) -> list[str]:
        """What may become an attribute: as chosen, else the protocol's own, else those and every other column."""
        if self.chosen is not None:
            return [self.listed_name(name) for name in dict.fromkeys(self.chosen)]
        if self.protocol.listed_only:
            return list(self.source)
        taken = set(self.source.values())
        return [*self.source, *(column for column in self.cohort.columns if column not in taken)]

    def tell_unused(self, names: Sequence[str]) -> None:
        """Columns that the protocol's own attributes hide, bins that nobody asks for, and what was joined."""
        self.notices += [
            f"{join.column}: {' and '.join(map(repr, join.texts))} are taken as the level {join.level!r} (--join)"
            for join in self.joins
        ]
        for name, column in self.source.items():
            if name in self.cohort.columns and column not in (None, name):
                self.notices.append(f"column {name} is not used: the protocol takes {name} from column {column}")
        self.notices += [
            f"bins of {name} are not used: it is not among the attributes of this audit; choose it too"
            for name in self.edges
            if self.listed_name(name) not in names
        ]

    def fit_attribute(self, name: str) -> AttributeBins | None:
        """The bins of one attribute; None, and the reason kept, where there can be none."""
        column = self.source.get(name, name)
        chosen = self.chosen is not None
        if column is None:
            self.left_out[name] = f"no column {' or '.join(self.protocol.attributes[name].columns)} in the metadata"
            self.notices.append(f"{name}, an attribute of the protocol {self.protocol.name}, has no column")
            return None
        if not chosen and column == self.subject_column:
            self.leave_out(name, column, "it names patients", "patients")
            return None
        try:
            return self.fit_column(name, column)
        except UnusableColumnError as reason:
            if chosen or {name, column} & {*self.edges, *self.read_as}:
                raise MetadataError(f"attribute {name}: cannot be used: {reason}") from None
            self.leave_out(name, column, str(reason), reason.kind)
            if reason.is_loud:
                self.alerts.append(f"{name} is no attribute, and nothing here is said about it: {reason}.")
            return None

    def leave_out(self, name: str, column: str, why: str, kind: str) -> None:
        self.left_out[name] = why
        self.readings[column] = ColumnReading(kind, why)

    def without_numbers_behind(self, fitted: list[AttributeBins]) -> list[AttributeBins]:
        """Leaves out a number where another column holds it in bins already, such as age beside age_group.

        Two binnings of one number cross in subgroups that mean nothing ("age 48-52 and age_group 51-60").
        """
        texts = [(entry, _codes_of(self.cohort.column(entry.column))) for entry in fitted if not entry.bins.edges]
        kept = []
        for entry in fitted:
            asked_for = {entry.name, entry.column} & {*self.edges, *self.protocol.attributes}
            candidates = texts if entry.bins.edges and not asked_for else []
            binned = next((other for other, codes in candidates if self.bins_of_one_number(codes, entry.column)), None)
            if binned is None:
                kept.append(entry)
                continue
            why = (
                f"the number behind {binned.name}, each level of which is a range of it; to use it all the same, "
                "give its bins or choose the attributes"
            )
            self.leave_out(entry.name, entry.column, why, "number in bins elsewhere")
        return kept

    def bins_of_one_number(self, text_codes: NDArray[np.intp], number_column: str) -> bool:
        """Whether at least three levels of a text are separate ranges of a number."""
        numbers = self.numbers_of(number_column)
        known = (text_codes >= 0) & ~np.isnan(numbers)
        # Sorted by number, each level of a set of bins is one run.
        order = np.argsort(numbers[known], kind="stable")
        codes, numbers = text_codes[known][order], numbers[known][order]
        begins = np.flatnonzero(np.diff(codes, prepend=-1))
        separate = len(np.unique(codes)) == len(begins) and (numbers[begins[1:] - 1] < numbers[begins[1:]]).all()
        # A level of one case each is an id or a number in disguise, not a set of bins.
        return bool(separate) and 3 <= len(begins) <= self.max_levels and len(begins) * 2 <= len(codes)

    def numbers_of(self, column: str) -> NDArray[np.float64]:
        """(n_cases,) the numbers in a column, NaN where there is none; read once, however many texts ask."""
        if column not in self.numbers:
            found = of_each(as_number, self.cohort.column(column))
            self.numbers[column] = np.array([np.nan if number is None else number for number in found])
        return self.numbers[column]

    def column_of(self, rule: AttributeRule) -> str | None:
        """The first column that a rule names, in any case if none is spelt so."""
        by_lower = {column.casefold(): column for column in reversed(self.cohort.columns)}
        exact = next((column for column in rule.columns if column in self.cohort.columns), None)
        return exact or next((by_lower[key] for key in map(str.casefold, rule.columns) if key in by_lower), None)

    def listed_name(self, name: str) -> str:
        """The protocol's attribute that a name or column stands for; else the name itself."""
        if name in self.source:
            return name
        return next((attribute for attribute, column in self.source.items() if column == name), name)

    def unknown(self, name: str, what: str) -> MetadataError:
        columns = self.cohort.columns
        return MetadataError(
            f"{what} {name}: no such column in the metadata{close_names(name, columns)}; columns are"
            f" {some(columns, 20) or 'none'}"
        )

    def fit_column(self, name: str, column: str) -> AttributeBins:
        values = self.cohort.column(column)
        absent = of_each(is_missing, values)
        present = [value for value, is_absent in zip(values, absent, strict=True) if not is_absent]
        rule, why = self.rule_of(name, column)
        read_as = self.read_as.get(name, self.read_as.get(column))
        if rule.edges:
            bins = self.between_edges(rule, present)
        elif rule.contains:
            levels = tuple(dict.fromkeys(level for _, level in rule.contains))
            words = tuple((word.lower(), level) for word, level in rule.contains)
            bins = ColumnBins("contains", levels, f"by the words {', '.join(w for w, _ in words)}", contains=words)
        elif rule.levels:
            spellings = tuple((fold(level), level) for level in rule.levels)
            bins = ColumnBins("levels", rule.levels, f"levels {', '.join(rule.levels)}", spellings=spellings)
        else:
            inferred = self.infer(name, present, n_cases=len(values), read_as=read_as)
            bins, why = inferred.bins, inferred.why
        joined = joins_of(self.joins).get(column, {})
        self.require_place(column, bins, rule.missing, joined.values())
        bins = self.merge_missing(name, bins, rule.missing, inferred=not (rule.contains or rule.levels))
        codes = bins.encode(values).codes
        if rule.missing == DROP and all(code < 0 for code in codes):
            raise UnusableColumnError("no value that counts", kind="empty")
        kind = {"levels": "levels", "bins": "ranges of numbers", "contains": "levels by the words in it"}[bins.kind]
        self.readings[column] = ColumnReading("ordered levels" if read_as == "ordered" else kind, why)
        return AttributeBins(
            name, column, bins, rule.missing, any(code < 0 for code in codes), tuple(sorted(joined.items()))
        )

    def require_place(self, column: str, bins: ColumnBins, missing: str, joined: Iterable[str]) -> None:
        """Refuses a joined level that ranges of numbers would count as missing."""
        for level in joined:
            if (
                bins.kind == "bins"
                and not is_missing(level)
                and fold(level) != fold(missing)
                and as_number(level) is None
            ):
                raise ConfigError(
                    f"--join {column}: {level!r} has no place among ranges of numbers ({', '.join(bins.levels)}); join "
                    f"to a number, to {missing!r}, or take every value as a level with --categorical {column}"
                )

    def rule_of(self, name: str, column: str) -> tuple[AttributeRule, str]:
        """How a column is to become an attribute, and who says so: what was asked for, before the protocol."""
        edges = self.edges.get(name, self.edges.get(column, ()))
        if edges == "tree":
            raise ConfigError(f"bins {name}=tree: these edges come from the outcome and have to be fitted first")
        rule = self.protocol.attributes.get(name)
        if rule is None:
            return AttributeRule((column,), edges=tuple(edges)), "the bins that were asked for"
        protocol = f"the protocol {self.protocol.name}"
        if edges:
            rule = dataclasses.replace(rule, edges=tuple(edges), labels=(), contains=(), levels=())
            self.notices.append(f"{name}: given bins replace those of {protocol}")
        read_as = self.read_as.get(name, self.read_as.get(column))
        if read_as is not None:
            rule = dataclasses.replace(rule, edges=(), labels=(), contains=(), levels=())
            self.notices.append(f"{name}: --{read_as} replaces the rule of {protocol}")
        return rule, f"the rule of {protocol}"

    def infer(self, name: str, present: list[object], *, n_cases: int, read_as: ReadAs | None) -> Inferred:
        """Levels or ranges by the values themselves; spellings taken as one level are told."""
        chosen = self.chosen is not None
        inferred = infer_bins(
            name,
            present,
            n_cases=n_cases,
            max_levels=max(self.max_levels, len(present) // 2) if chosen else self.max_levels,
            chosen=chosen,
            keep_constant=name in self.protocol.attributes,
            read_as=read_as,
        )
        self.notices += [
            f"{name}: {' and '.join(map(repr, group))} are taken as one level" for group in inferred.spellings
        ]
        return inferred

    def between_edges(self, rule: AttributeRule, present: list[object]) -> ColumnBins:
        numbers = finite_numbers(present)
        if present and not len(numbers):
            raise UnusableColumnError(
                f"its values are no numbers, such as {level_text(present[0])!r}, and bins are for numbers",
                kind="no numbers",
            )
        return number_bins(rule.edges, numbers, labels=rule.labels)

    def merge_missing(self, name: str, bins: ColumnBins, missing: str, *, inferred: bool) -> ColumnBins:
        """A level that is itself called like the level of missing values becomes that level, in last place."""
        same = [level for level in bins.levels if fold(level) == fold(missing)]
        if not same or missing == DROP or bins.kind == "bins":
            return bins
        if inferred:
            self.notices.append(f"{name}: the level {same[0]!r} and missing values are taken as one level")

        def renamed(pairs: tuple[tuple[str, str], ...]) -> tuple[tuple[str, str], ...]:
            return tuple((key, missing if level in same else level) for key, level in pairs)

        return dataclasses.replace(
            bins,
            levels=(*(level for level in bins.levels if level not in same), missing),
            spellings=renamed(bins.spellings),
            contains=renamed(bins.contains),
        )


def _codes_of(values: Sequence[object]) -> NDArray[np.intp]:
    """(n_cases,) a number for each spelling of a text, -1 where it is missing."""
    seen: dict[str, int] = {}
    return np.array([-1 if value is None else seen.setdefault(fold(str(value)), len(seen)) for value in values])


def _check_edges(name: str, edges: Edges) -> None:
    if edges == "tree":
        return
    numbers = [float(edge) for edge in edges]
    if len(numbers) < 2:
        raise ConfigError(
            f"bins {name}: needs at least two edges, got {len(numbers)}; such as {cut_text(name)}=0,40,50,60"
        )
    if any(math.isnan(edge) for edge in numbers) or any(low >= high for low, high in itertools.pairwise(numbers)):
        raise ConfigError(f"bins {name}: edges must rise, got {', '.join(f'{edge:g}' for edge in numbers)}")
    if all(math.isinf(edge) for edge in numbers):
        raise ConfigError(f"bins {name}: needs at least one finite edge")
