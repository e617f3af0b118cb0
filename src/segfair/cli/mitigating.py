"""`mitigate`, `predict` and `weights`; the first two need torch. Trains nothing itself."""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext, redirect_stderr
from io import StringIO
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from segfair.cli.app import app
from segfair.cli.commands import Command, brief
from segfair.cli.options import (
    MODELS,
    RUN,
    AuditFile,
    MitigateOptions,
    Saying,
    option,
    split,
    split_all,
    spread,
)
from segfair.cli.settings import parse_spacing
from segfair.cli.terminal.progress import progress
from segfair.cli.terminal.results import say_models, say_nothing
from segfair.cli.terminal.voice import Answer, Voice
from segfair.environment import TORCH_BYTES, too_little_memory
from segfair.errors import ConfigError

if TYPE_CHECKING:
    from segfair.mitigation.prediction.volumes import Model, PredictionReport


@app.command(
    cls=brief("backbone", "strategy", "folds", "epochs", "resume", "out"),
    epilog="Example: segfair mitigate DATA --folds 5 --seeds 3",
)
@spread
def mitigate(
    data: Annotated[
        Path | None,
        typer.Argument(
            metavar="[DATA]",
            help="Data set of images and labels, or a table of their paths; else the embedded phantom.",
        ),
    ] = None,
    backbone: Annotated[
        list[str] | None,
        option("resenc (default with DATA), unet (without), segresnet, swinunetr; repeatable.", MODELS),
    ] = None,
    strategy: Annotated[
        list[str] | None, option("adaptive-sampling (default), fairmedseg, balanced, ...; repeatable.", MODELS)
    ] = None,
    *,
    options: MitigateOptions,
    resume: Annotated[bool, option("Go on where an earlier run stopped.", RUN, "--resume")] = False,
    overwrite: Annotated[bool, option("Remove the training that OUT holds.", RUN, "--overwrite")] = False,
    config: Annotated[
        Path | None, option("TOML file of settings, such as OUT/config.toml; options override it.", RUN)
    ] = None,
    out: Annotated[Path, option("Folder of everything.", RUN)] = Path("segfair-mitigate"),
    saying: Saying,
) -> None:
    """Train networks that serve subgroups better, and compare them."""
    from segfair.documents import read_toml
    from segfair.files.placing import refuse_file

    _require_torch()
    voice = Voice("mitigate", saying)
    if options.data.spatial_size and options.data.patch:
        raise ConfigError("--spatial-size and --patch: whole volumes or patches; give one of them")
    if options.data.samples_per_case and not (options.data.patch or config):
        raise ConfigError("--samples-per-case: belongs to --patch; give the size of a patch as well")
    given = {
        **_given(options),
        "data": data,
        "backbones": _backbones(backbone, options.models.network),
        "strategies": strategy and tuple(strategy),
        "resume": resume or None,
        "overwrite": overwrite or None,
    }
    refuse_file(out)
    if config is not None:
        read_toml(config, refusal=ConfigError, what=f"--config {config}")
    # What is told above costs nothing; torch takes seconds to load.
    from segfair.mitigation.experiment.procedure import load_settings, run_mitigation
    from segfair.scoring.executors import own_processes

    settings = load_settings(config, {name: value for name, value in given.items() if value is not None}, out=out)
    # Under torchrun every process does the same; the first one speaks for all.
    tell: Callable[[str], None] = voice.note if os.environ.get("RANK", "0") == "0" else say_nothing
    for name, value in settings.to_dict().items():
        tell(f"{name} = {value}")
    with own_processes(settings.workers, afresh=True) as executor, _unheard(voice):
        comparison = run_mitigation(settings, executor=executor, tell=tell)
    if comparison:
        say_models(comparison["models"], out / "comparison.html", voice)


def _unheard(voice: Voice) -> AbstractContextManager[Any]:
    """Drops the lines of epochs that a training writes to stderr, where nobody wants to hear them."""
    return redirect_stderr(StringIO()) if voice.quiet else nullcontext()


def _backbones(named: list[str] | None, own: str | None) -> tuple[str, ...] | None:
    """The networks that are trained; one of the user's own stands in place of the default."""
    if own is None:
        return tuple(named) if named else None
    if ":" not in own:
        raise ConfigError(f"--network {own}: expected module:function, such as my_networks:make_unet")
    return (*(named or ()), own)


def _sides(option_name: str, text: str | None) -> tuple[int, ...] | None:
    """Two or three whole numbers of voxels."""
    if text is None:
        return None
    parts = text.replace(",", " ").split()
    if len(parts) not in (2, 3) or not all(part.isdecimal() and int(part) > 0 for part in parts):
        raise ConfigError(f"{option_name} {text}: expected two or three whole numbers of voxels, such as 128 128 64")
    return tuple(map(int, parts))


def _given(options: MitigateOptions) -> dict[str, Any]:
    """The settings that options name, under the names of the settings file; None where an option was left out."""
    from segfair.mitigation.weighting.one_shot import read_weights

    models, data = options.models, options.data
    return {
        "baseline": False if models.no_baseline else None,
        "alpha": models.alpha,
        "min_support": models.min_support,
        "loss": models.loss,
        "outcome": models.outcome,
        "feedback": models.feedback,
        "weights": {"aggregate": models.aggregate} if models.aggregate else None,
        "oracle": _items(models.oracle) if models.oracle else None,
        "recipe": models.recipe,
        "select": models.select,
        "init": models.init,
        "keep_largest": models.keep_largest or None,
        "one_shot_weights": read_weights(models.weights) if models.weights else None,
        "metadata": data.metadata,
        **dataclasses.asdict(data.selection),
        "protocol": data.protocol,
        "label": data.label and tuple(data.label),
        "attributes": data.attributes and split(data.attributes),
        "bins": data.bins and tuple(data.bins),
        "categorical": split_all(data.reading.categorical) or None,
        "ordered": split_all(data.reading.ordered) or None,
        "numeric": split_all(data.reading.numeric) or None,
        "join": data.reading.join and tuple(data.reading.join),
        "phases": data.phases,
        "spacing_mm": data.spacing and parse_spacing(data.spacing),
        "spatial_size": _sides("--patch", data.patch) or _sides("--spatial-size", data.spatial_size),
        "modality": data.modality,
        "splits": data.splits,
        "samples_per_case": data.samples_per_case or (2 if data.patch else None),
        "cache": data.cache,
        **dataclasses.asdict(options.compute),
    }


def _items(texts: list[str]) -> dict[str, str]:
    """Column -> level from texts such as device=Toshiba; a level may hold further = signs."""
    found: dict[str, str] = {}
    for text in texts:
        column, _, level = (part.strip() for part in text.partition("="))
        if not column or not level:
            raise ConfigError(f"--oracle {text}: expected COLUMN=LEVEL, such as device=Toshiba")
        if column in found:
            raise ConfigError(f"--oracle {text}: {column} = {found[column]} was given as well; a column has one level")
        found[column] = level
    return found


@app.command(cls=Command, epilog="Example: segfair predict checkpoint_best.pt images/ masks/")
@spread
def predict(
    checkpoint: Annotated[
        Path,
        typer.Argument(metavar="CHECKPOINT", help="checkpoint_best.pt, or a model's folder: all of its folds."),
    ],
    images: Annotated[Path, typer.Argument(metavar="IMAGES", help="Folder of images.")],
    out: Annotated[Path, typer.Argument(metavar="OUT", help="Folder of masks; masks that exist are kept.")],
    boxes: Annotated[Path | None, typer.Option(help="Folder of breast boxes (patient_info_files).")] = None,
    flips: Annotated[
        bool | None, typer.Option("--flips/--no-flips", help="Predict flipped images, too; as the model was judged.")
    ] = None,
    keep_largest: Annotated[
        bool | None,
        typer.Option("--keep-largest/--keep-all", help="Keep the largest part alone; as the model was judged."),
    ] = None,
    network: Annotated[
        str | None, typer.Option(help="module:function of the model's own network, whose code is trusted.")
    ] = None,
    device: Annotated[str, typer.Option(help="auto, cpu or cuda.")] = "auto",
    dicom: Annotated[
        bool, typer.Option("--dicom", help="IMAGES is a tree of DICOM series, and masks are written as DICOM-SEG.")
    ] = False,
    *,
    saying: Saying,
) -> None:
    """Predict masks in each image's own geometry; needs no metadata."""
    _require_torch()
    from segfair.files.placing import refuse_unwritable
    from segfair.mitigation.prediction.volumes import adapted, find_checkpoints, load_model

    if dicom and boxes is not None:
        raise ConfigError("--boxes: breast boxes are counted in voxels of other files; leave them out with --dicom")
    refuse_unwritable(out)

    voice = Voice("predict", saying)
    checkpoints = find_checkpoints(checkpoint)
    model = load_model(*checkpoints, device=device, own_network=network)
    model = adapted(model, flips=flips, keep_largest=keep_largest)
    if len(checkpoints) > 1:
        voice.note(
            f"{len(checkpoints)} networks predict together: {', '.join(path.parent.name for path in checkpoints)}"
        )
    if dicom:
        report = _predict_series(model, images, out, device, voice)
    else:
        report = _predict_files(model, images, out, boxes, device, voice)
    voice.note(*report.notices)
    for case, reason in report.failed.items():
        typer.echo(f"case {case}: not predicted: {reason}", err=True)
    n_written, n_existing, n_failed = len(report.written), len(report.existing), len(report.failed)
    facts = {
        "n_written": n_written,
        "n_existing": n_existing,
        "failed": dict(report.failed),
        "files": {"masks": str(out)},
    }
    told = f"{n_written} masks written to {out}, {n_existing} were there, {n_failed} failed"
    voice.answer(Answer(facts, (told,)))


@app.command(
    cls=Command,
    epilog="Example: segfair weights report/ --metadata metadata.csv --cases splits_final.json:0",
)
@spread
def weights(
    audit_json: AuditFile,
    metadata: Annotated[Path, typer.Option(help="Metadata of the cases to be weighted.")],
    cases: Annotated[
        str | None, typer.Option(help="Only these: a file of ids, or splits_final.json:FOLD (its training cases).")
    ] = None,
    id_column: Annotated[str | None, typer.Option(help="Metadata column with the case ids.")] = None,
    sheet: Annotated[str | None, typer.Option(help="Sheet of an XLSX table; found by its content.")] = None,
    out: Annotated[Path, typer.Option(help="Table to write.")] = Path("weights.csv"),
    *,
    saying: Saying,
) -> None:
    """Turn an audit into case weights for a training done elsewhere."""
    from segfair.audit.result import AuditResult
    from segfair.files.tables import write_csv
    from segfair.mitigation.weighting.one_shot import one_shot_weights

    voice = Voice("weights", saying)
    found = one_shot_weights(AuditResult.load(audit_json), metadata, cases=cases, id_column=id_column, sheet=sheet)
    rows = [
        {"case": case, "weight": weight, "subgroup": setter.name if setter else ""}
        for (case, weight), setter in zip(found.items(), found.setters, strict=True)
    ]
    write_csv(rows, out)
    low, high = float(found.array.min()), float(found.array.max())
    facts = {"n_cases": len(rows), "lowest": low, "highest": high, "files": {"weights": str(out)}}
    told = f"{len(rows)} weights from {low:.2f} to {high:.2f}, mean 1, in {out}"
    voice.answer(Answer(facts, (told,)))


def _predict_files(
    model: Model, images: Path, out: Path, boxes: Path | None, device: str, voice: Voice
) -> PredictionReport:
    from segfair.files.image_files import describe_images, find_images
    from segfair.mitigation.data.boxes import find_boxes
    from segfair.mitigation.prediction.volumes import predict_images

    found = find_images(images, n_channels=model.preprocessing.phases)
    voice.note(describe_images(images, found))
    with progress(len(found), voice, what="predicting", then="writing") as on_done:
        return predict_images(
            model, found, out, boxes=find_boxes(boxes) if boxes else None, device=device, on_done=on_done
        )


def _predict_series(model: Model, images: Path, out: Path, device: str, voice: Voice) -> PredictionReport:
    from segfair.mitigation.prediction.dicom import find_series, predict_series

    found, notices = find_series(images)
    voice.note(f"images: {len(found)} DICOM series in {images}", *notices)
    with progress(len(found), voice, what="predicting", then="writing") as on_done:
        return predict_series(model, found, out, device=device, on_done=on_done)


def _require_torch() -> None:
    from importlib.util import find_spec

    missing = [name for name in ("torch", "monai") if find_spec(name) is None]
    if missing:
        raise ConfigError(f'{" and ".join(missing)} are not installed; pip install "segfair[mitigate]"')
    if scarce := too_little_memory(TORCH_BYTES):
        raise ConfigError(scarce)
