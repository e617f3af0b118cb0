"""Every option of the command line, declared once, and the settings that commands share. Calls nothing.

A command takes dataclasses of settings, which may hold others; `spread` turns all of their fields into options.
"""

from __future__ import annotations

import dataclasses
import functools
import inspect
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any, Literal, get_type_hints

import typer

MissingRule = Literal["worst", "drop", "error"]
MOST_DRAWS = 1_000_000
"""More take hours and gigabytes, and tell nothing that these do not."""
LARGEST_SEED = 2**32 - 1
"""What every generator in use takes: torch, NumPy's old one, the loaders' own."""
LesionRule = Literal["brats", "panoptica", "voronoi"]
Platform = Literal["codabench", "grand-challenge"]
FigureFormat = Literal["svg", "png", "pdf"]
Language = Literal["en", "de"]
WHICH, RULES, GROUPS, TESTS, HANDOVER, RUN = (
    "Which cases",
    "How they are scored",
    "Which groups",
    "What counts as real",
    "What is handed over",
    "How it runs",
)


def option(help_text: str, panel: str, *names: str, **settings: Any) -> Any:
    """An option in one of the panels of help."""
    return typer.Option(*names, help=help_text, rich_help_panel=panel, **settings)


Out = Annotated[Path, option("Folder of the report.", RUN)]
Debug = Annotated[bool, option("Show the traceback of an error.", RUN, "--debug")]


def _explain_all(ctx: typer.Context, asked: bool) -> None:
    if asked:
        ctx.command.explain_all(ctx)  # type: ignore[attr-defined]
        raise typer.Exit


HelpAll = Annotated[
    bool, option("Explain every option.", RUN, "--help-all", is_eager=True, callback=_explain_all, show_default=False)
]
AuditFile = Annotated[
    Path, typer.Argument(metavar="AUDIT", help="What segfair audit wrote: its folder, or audit.json in it.")
]
Quiet = Annotated[bool, option("Say nothing but errors.", RUN, "--quiet")]
Json = Annotated[bool, option("One JSON object on stdout, all else on stderr.", RUN, "--json")]
Share = Annotated[
    Path | None,
    option("Second folder that can be handed on: no ids, no rows of cases, no group of under 5.", HANDOVER),
]
Title = Annotated[str, option("What it is called, in the heading.", HANDOVER, show_default=False)]
Figures = Annotated[FigureFormat | None, option("Also write the figures as files, to figures/.", HANDOVER)]
IdColumn = Annotated[str | None, option("Metadata column with the case ids; found by itself.", WHICH)]
SubjectColumn = Annotated[str | None, option("Metadata column that tells which cases are of one patient.", WHICH)]
Sheet = Annotated[str | None, option("Sheet of an XLSX file; found by itself.", WHICH)]
Cases = Annotated[str | None, option("Only these: a file of ids, or splits_final.json:FOLD.", WHICH)]
Where = Annotated[str | None, option("Only cases whose metadata fulfil this, e.g. 'split == \"test\"'.", WHICH)]
Attributes = Annotated[str | None, option("Metadata columns to use, comma-separated.", GROUPS)]
MinCases = Annotated[int, option("Fewest cases of a group that is judged.", GROUPS, min=1)]
Protocol = Annotated[str, option("Scoring rules: default, mama-mia, or a TOML file.", RULES, show_default=False)]
Seed = Annotated[int, option("Seed of everything random.", RUN, min=0, max=LARGEST_SEED)]
Label = Annotated[list[str] | None, option("Voxels that count: 1, any, or NAME=1,2 (repeat for regions).", RULES)]
Threshold = Annotated[
    float | None, option("Predictions are probability maps; lesion from this value on.", RULES, min=1e-9, max=1.0)
]
Spacing = Annotated[
    str | None,
    option("Voxel size in mm of masks whose file does not say it (PNG).", RULES, metavar="X Y [Z]"),
]
Images = Annotated[Path | None, option("Folder of images, behind the outlines of the worst cases.", RUN)]
Reasons = Annotated[
    bool, option("What is the gap of each finding made of? Reads the masks again.", GROUPS, "--reasons")
]
Strict = Annotated[bool, option("Stop at the first unusable file.", RUN, "--strict")]
Categorical = Annotated[
    list[str] | None, option("A column of which every value is a level, numbers too.", GROUPS, metavar="COL")
]
Ordered = Annotated[
    list[str] | None, option("The same, with levels in order; many become groups.", GROUPS, metavar="COL")
]
Join = Annotated[
    list[str] | None,
    option("Texts of a column that are one level: COL: a, b = c.", GROUPS, metavar="TEXT"),
]
Numeric = Annotated[list[str] | None, option("A column of numbers, to be cut into ranges.", GROUPS, metavar="COL")]
LowerIsBetter = Annotated[list[str] | None, option("A column of which lower values are better.", RULES, metavar="COL")]
HigherIsBetter = Annotated[
    list[str] | None, option("A column of which higher values are better.", RULES, metavar="COL")
]


@dataclass(frozen=True, slots=True)
class Saying:
    """How a command says what it found."""

    quiet: Quiet = False
    json: Json = False
    debug: Debug = False


@dataclass(frozen=True, slots=True)
class MaskFiles:
    """How the files of masks are found and read."""

    pattern: Annotated[
        str | None,
        option("Where predictions lie in their folder, e.g. '{id}/pred_*.nii.gz'.", WHICH, metavar="PATTERN"),
    ] = None
    label_pattern: Annotated[str | None, option("The same of labels in theirs.", WHICH, metavar="PATTERN")] = None
    threshold: Threshold = None
    spacing: Spacing = None
    dicom_series: Annotated[
        Path | None, option("Folder of the image series that DICOM masks were drawn on, if elsewhere.", WHICH)
    ] = None
    dicom_attributes: Annotated[
        str | None,
        option("Metadata from DICOM headers: all, or such as sex,age,manufacturer.", WHICH, metavar="NAMES"),
    ] = None


Probabilities = Annotated[
    Path | None,
    option("Folder of the probabilities behind the masks: is the model as sure as it is right?", GROUPS),
]


@dataclass(frozen=True, slots=True)
class OtherRaters:
    """Who else labelled the cases."""

    labels2: Annotated[
        list[Path] | None,
        option("Labels of another rater (repeatable): which gaps depend on who drew them?", GROUPS, "--labels2"),
    ] = None
    reference: Annotated[
        Literal["first", "majority", "staple"], option("What is measured with, of several raters.", RULES)
    ] = "first"


@dataclass(frozen=True, slots=True)
class Selection:
    """Which cases count, and how they are found in the table."""

    id_column: IdColumn = None
    subject_column: SubjectColumn = None
    sheet: Sheet = None
    cases: Cases = None
    where: Where = None


@dataclass(frozen=True, slots=True)
class Reading:
    """How columns are meant, where their values do not say it."""

    categorical: Categorical = None
    ordered: Ordered = None
    numeric: Numeric = None
    join: Join = None


@dataclass(frozen=True, slots=True)
class Search:
    """How far subgroups are looked for."""

    min_support: Annotated[float, option("Smallest share of cases of a subgroup.", GROUPS, min=1e-9, max=1.0)] = 0.05
    min_cases: MinCases = 10
    max_items: Annotated[
        int | None, option("Most attributes of a combination; as many as can be searched by default.", GROUPS, min=1)
    ] = None


@dataclass(frozen=True, slots=True)
class Testing:
    """What counts as real."""

    primary: Annotated[str | None, option("Attributes fixed beforehand, a family of their own.", TESTS)] = None
    margin: Annotated[list[str] | None, option("Largest deficit that does not matter, e.g. dsc=0.05.", TESTS)] = None
    plan: Annotated[
        Path | None,
        option("TOML file with the table of segfair plan: its settings hold, the report says what differs.", TESTS),
    ] = None
    stratify: Annotated[str | None, option("Metadata column to compare within, e.g. site.", TESTS)] = None
    adjust: Annotated[
        str | None,
        option("Compare at equal values of these, comma-separated; lesion_volume by default, or none.", TESTS),
    ] = None
    level: Annotated[float, option("Family-wise error level.", TESTS, min=1e-6, max=0.5)] = 0.05
    permutations: Annotated[int, option("Permutations of the tests.", TESTS, min=19, max=MOST_DRAWS)] = 2000
    bootstrap: Annotated[int, option("Resamples of the intervals.", TESTS, min=100, max=MOST_DRAWS)] = 2000
    power_gap: Annotated[
        float, option("Gap for which the report says how many cases it takes.", TESTS, "--gap", min=1e-6, max=1e6)
    ] = 0.05
    gate: Annotated[
        list[str] | None,
        option("What it has to pass, e.g. 'FS >= 0.85'.", TESTS),
    ] = None


@dataclass(frozen=True, slots=True)
class Besides:
    """What is asked beside the scores."""

    reasons: Reasons = False
    probabilities: Probabilities = None
    other_tools: Annotated[
        bool, option("Score as MONAI, nnU-Net and others do, too: would they agree?", RULES, "--other-tools")
    ] = False


@dataclass(frozen=True, slots=True)
class Lesions:
    """What is asked about lesions."""

    derive: Annotated[
        bool, option("Lesion volume, number of lesions and spacing become attributes.", GROUPS, "--derive")
    ] = False
    lesions: Annotated[LesionRule | None, option("Also score lesions, one by one, as this rule finds them.", RULES)] = (
        None
    )
    unit: Annotated[
        Literal["case", "lesion"], option("What is compared: cases, or each lesion (with --lesions).", GROUPS)
    ] = "case"


@dataclass(frozen=True, slots=True)
class Running:
    """Where masks are scored, and where scores are kept."""

    workers: Annotated[int | None, option("Processes that score; all cores by default.", RUN, min=1, max=1024)] = None
    dask: Annotated[
        str | None,
        option(
            "Score on a dask cluster: its scheduler, e.g. tcp://head:8786, or a scheduler file.", RUN, metavar="ADDRESS"
        ),
    ] = None
    cache: Annotated[
        Path | None,
        option(
            "Folder of scores that later runs take over; .segfair-cache beside --out by default.", RUN, metavar="DIR"
        ),
    ] = None
    no_cache: Annotated[bool, option("Score everything, and keep nothing for later runs.", RUN, "--no-cache")] = False


@dataclass(frozen=True, slots=True)
class Naming:
    """What was audited, and how its summary is written."""

    title: Annotated[str | None, option("Heading of every page; model and cohort by default.", HANDOVER)] = None
    model: Annotated[str | None, option("Name of the model, printed on every page.", HANDOVER)] = None
    cohort: Annotated[str | None, option("Name of the cohort, printed on every page.", HANDOVER)] = None
    language: Annotated[Language, option("Language of summary.html.", HANDOVER)] = "en"
    pdf: Annotated[bool, option("Write summary.pdf, too; takes segfair[pdf].", HANDOVER, "--pdf")] = False


@dataclass(frozen=True, slots=True)
class Handover:
    """What is handed over beside the report."""

    naming: Naming = field(default_factory=Naming)
    record: Annotated[
        Path | None,
        option("TOML file about the study, printed on page one; study.toml in this folder by default.", HANDOVER),
    ] = None
    share: Share = None
    pseudonymise: Annotated[
        Path | None,
        option("Key file, made if absent: keyed pseudonyms instead of ids, and no paths.", HANDOVER, metavar="KEYFILE"),
    ] = None
    figures: Figures = None


@dataclass(frozen=True, slots=True)
class AuditOptions:
    """The settings that every audit shares."""

    out: Out = Path("segfair-report")
    protocol: Protocol = "default"
    selection: Selection = field(default_factory=Selection)
    attributes: Attributes = None
    bins: Annotated[
        list[str] | None,
        option("Edges of a number, e.g. age=0,40,50,60,70,100; or tree: learned on half of the cases.", GROUPS),
    ] = None
    reading: Reading = field(default_factory=Reading)
    search: Search = field(default_factory=Search)
    testing: Testing = field(default_factory=Testing)
    handover: Handover = field(default_factory=Handover)
    failure_dsc: Annotated[float, option("A case with a DSC below it counts as failed.", RULES, min=0.0, max=1.0)] = 0.5
    seed: Seed = 0
    saying: Saying = field(default_factory=Saying)
    help_all: HelpAll = False


@dataclass(frozen=True, slots=True)
class RankOptions:
    """The settings that every ranking shares."""

    out: Annotated[Path, option("Folder of the leaderboard.", RUN)] = Path("segfair-ranking")
    by: Annotated[str | None, option("Score that decides: TS, PS, FS or a metric; TS where there is one.", RULES)] = (
        None
    )
    over: Annotated[
        str | None, option("Metrics of the other ways to rank (mean rank, points), comma-separated.", RULES)
    ] = None
    protocol: Protocol = "default"
    title: Title = ""
    private_labels: Annotated[
        bool,
        option("Write what may be published to public/, without cases and attributes.", RUN, "--private-labels"),
    ] = False
    export: Annotated[
        Platform | None, option("Also write each team's scores for a platform to read.", RUN, "--export")
    ] = None
    audits: Annotated[
        bool, option("Also write an audit of each team, from the same scores, to teams/TEAM/.", RUN, "--audits")
    ] = False
    selection: Selection = field(default_factory=Selection)
    attributes: Attributes = None
    bins: Annotated[list[str] | None, option("Edges of a number, e.g. age=0,40,50,60,70,100.", GROUPS)] = None
    reading: Reading = field(default_factory=Reading)
    min_cases: MinCases = 10
    permutations: Annotated[int, option("Permutations of the chance level of FS.", TESTS, min=19, max=MOST_DRAWS)] = (
        2000
    )
    bootstrap: Annotated[
        int, option("Resampled cohorts in which teams are ranked.", TESTS, min=100, max=MOST_DRAWS)
    ] = 2000
    seed: Seed = 0
    saying: Saying = field(default_factory=Saying)
    help_all: HelpAll = False


MODELS, DATA = "What is trained", "Data"


@dataclass(frozen=True, slots=True)
class ModelOptions:
    """What a mitigation trains."""

    no_baseline: Annotated[bool, option("Do not train the plain model beside them.", MODELS, "--no-baseline")] = False
    alpha: Annotated[str | None, option("FairMedSeg's balance (Eq. 4), 0.2 by default, or auto.", MODELS)] = None
    min_support: Annotated[
        float | None, option("Smallest share of the followed cases of a subgroup; 0.001.", MODELS, min=1e-9, max=1.0)
    ] = None
    loss: Annotated[Literal["dice-ce", "dice-focal"] | None, option("Loss of a case; dice-ce.", MODELS)] = None
    recipe: Annotated[
        Literal["paper", "strong"] | None,
        option("How networks are trained: strong with DATA, paper (to reproduce) without.", MODELS),
    ] = None
    select: Annotated[
        Literal["ema", "last", "dice", "ps", "ts", "worst"] | None,
        option("Weights that are kept: ema (averaged, of the end) or last, else the best epoch by validation.", MODELS),
    ] = None
    network: Annotated[
        str | None, option("A network of your own in place of a backbone.", MODELS, metavar="MODULE:FUNCTION")
    ] = None
    init: Annotated[Path | None, option("Checkpoint to go on from instead of random weights.", MODELS)] = None
    keep_largest: Annotated[
        bool, option("Keep the largest connected part of a predicted mask alone.", MODELS, "--keep-largest")
    ] = False
    outcome: Annotated[Literal["dsc", "ps"] | None, option("Whose divergences count; dsc.", MODELS)] = None
    feedback: Annotated[
        Literal["training", "validation"] | None,
        option("Whose divergences are followed; training cases, by fairmedseg validation cases.", MODELS),
    ] = None
    aggregate: Annotated[
        Literal["max", "mean", "shapley"] | None,
        option("From the subgroups of a case to its weight; max. More under weights in --config.", MODELS),
    ] = None
    oracle: Annotated[
        list[str] | None, option("COLUMN=LEVEL: the subgroup that --strategy oracle is told; repeatable.", MODELS)
    ] = None
    weights: Annotated[Path | None, option("Case weights of segfair weights, for --strategy one-shot.", MODELS)] = None


@dataclass(frozen=True, slots=True)
class DataOptions:
    """Where the data of a mitigation come from, and what a network sees of them."""

    metadata: Annotated[Path | None, option("Metadata table; the one in DATA by default.", DATA)] = None
    selection: Selection = field(default_factory=Selection)
    protocol: Annotated[
        str | None, option("Scoring rules: default, mama-mia, or a TOML file; they say what is trained, too.", RULES)
    ] = None
    label: Label = None
    attributes: Attributes = None
    bins: Annotated[list[str] | None, option("Edges of a number, e.g. age=0,40,50,60,70,100.", GROUPS)] = None
    reading: Reading = field(default_factory=Reading)
    phases: Annotated[
        int | None, option("Phases that become channels; those that cases have by default.", DATA, min=1)
    ] = None
    spacing: Annotated[
        str | None,
        option("Voxel size to resample to, in mm (pictures: in pixels); planned.", DATA, metavar="X Y [Z]"),
    ] = None
    spatial_size: Annotated[str | None, option("Voxels that the network sees; planned.", DATA, metavar="X Y [Z]")] = (
        None
    )
    patch: Annotated[str | None, option("Train on patches of so many voxels.", DATA, metavar="X Y [Z]")] = None
    modality: Annotated[Literal["ct", "other"] | None, option("Kind of image; CT is told by its values.", DATA)] = None
    splits: Annotated[
        str | None,
        option(
            "Own split or folds: splits_final.json, splits.json, a table, or a column.", DATA, metavar="FILE|COLUMN"
        ),
    ] = None
    samples_per_case: Annotated[int | None, option("Patches a case, with --patch; 2.", DATA, min=1)] = None
    cache: Annotated[Path | None, option("Folder of prepared volumes; OUT/cache by default.", DATA)] = None


@dataclass(frozen=True, slots=True)
class ComputeOptions:
    """How a mitigation computes."""

    folds: Annotated[
        int | None, option("Train so many patient-disjoint folds, and judge all cases out of fold.", RUN, min=2)
    ] = None
    seeds: Annotated[int | None, option("Trainings of each model and fold; 1.", RUN, min=1)] = None
    validate_every: Annotated[int | None, option("Epochs between two validations; 1.", RUN, min=1)] = None
    validation_cases: Annotated[int | None, option("Most validation cases; the others train.", RUN, min=1)] = None
    compiled: Annotated[bool | None, option("Compile networks first.", RUN, "--compile/--no-compile")] = None

    epochs: Annotated[int | None, option("Epochs of every model.", RUN, min=1, max=1_000_000)] = None
    batch_size: Annotated[int | None, option("Cases of a step.", RUN, min=1, max=65536)] = None
    lr: Annotated[float | None, option("Largest learning rate; the recipe's.", RUN, min=1e-9, max=10.0)] = None
    device: Annotated[str | None, option("auto (default), cpu or cuda.", RUN)] = None
    amp: Annotated[bool | None, option("Half precision; on a GPU by default.", RUN, "--amp/--no-amp")] = None
    title: Annotated[str | None, option("What it is called, in the heading of every page.", RUN)] = None
    log: Annotated[
        list[str] | None,
        option("Also tell tensorboard, mlflow or wandb each epoch; repeatable.", RUN, metavar="TRACKER"),
    ] = None
    workers: Annotated[int | None, option("Processes that prepare, load and score; 0.", RUN, min=0, max=1024)] = None
    seed: Annotated[int | None, option("Seed of everything random.", RUN, min=0, max=LARGEST_SEED)] = None


@dataclass(frozen=True, slots=True)
class MitigateOptions:
    """What can be left to a settings file or to the defaults: `None` leaves it."""

    models: ModelOptions = field(default_factory=ModelOptions)
    data: DataOptions = field(default_factory=DataOptions)
    compute: ComputeOptions = field(default_factory=ComputeOptions)
    help_all: HelpAll = False


def is_number(text: str) -> bool:
    """Whether a text is a number, or several with commas or blanks between them."""
    try:
        return bool(list(map(float, text.replace(",", " ").split())))
    except ValueError:
        return False


def spread(command: Callable[..., None]) -> Callable[..., None]:
    """Replaces a command's parameters that are dataclasses by one option for each of their fields, nested ones too.

    They come where the dataclass stands among the parameters: help lists options, and panels, in that order.
    """
    signature = inspect.signature(command, eval_str=True)
    kinds = {
        own.name: own.annotation for own in signature.parameters.values() if dataclasses.is_dataclass(own.annotation)
    }
    parameters = [
        parameter.replace(kind=inspect.Parameter.KEYWORD_ONLY)
        for own in signature.parameters.values()
        for parameter in (_parameters(kinds[own.name]) if own.name in kinds else [own])
    ]

    @functools.wraps(command)
    def spread(**values: Any) -> None:
        settings = {name: _gathered(kind, values) for name, kind in kinds.items()}
        command(**values, **settings)

    spread.__signature__ = signature.replace(parameters=parameters)  # type: ignore[attr-defined]
    spread.__annotations__ = {parameter.name: parameter.annotation for parameter in parameters}
    return spread


def _parameters(kind: Any) -> Iterator[inspect.Parameter]:
    """One for each field of a dataclass, those of fields that are dataclasses in their place."""
    hints = get_type_hints(kind, include_extras=True)
    for entry in dataclasses.fields(kind):
        if dataclasses.is_dataclass(hints[entry.name]):
            yield from _parameters(hints[entry.name])
        else:
            yield inspect.Parameter(
                entry.name, inspect.Parameter.KEYWORD_ONLY, default=entry.default, annotation=hints[entry.name]
            )


def _gathered(kind: Any, values: dict[str, Any]) -> Any:
    """The dataclass again, from options that `_parameters` named; takes them out of `values`."""
    hints = get_type_hints(kind)
    return kind(
        **{
            entry.name: _gathered(hints[entry.name], values)
            if dataclasses.is_dataclass(hints[entry.name])
            else values.pop(entry.name)
            for entry in dataclasses.fields(kind)
        }
    )


def split(text: str) -> tuple[str, ...]:
    """The names in a text with commas between them."""
    return tuple(part.strip() for part in text.split(",") if part.strip())


def split_all(texts: list[str] | None) -> tuple[str, ...]:
    """The names in several such texts."""
    return tuple(name for text in texts or () for name in split(text))
