"""`rank`, `rank-scores` and `check`. Ranks nothing itself."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from segfair.cli.app import app
from segfair.cli.commands import Command, brief
from segfair.cli.options import (
    HigherIsBetter,
    Images,
    Label,
    LowerIsBetter,
    MaskFiles,
    RankOptions,
    Running,
    Saying,
    Strict,
    split,
    spread,
)
from segfair.cli.settings import parse_spacing, parse_values, rank_config, score_cache, selection
from segfair.cli.terminal.progress import scoring
from segfair.cli.terminal.results import say_cache, say_check, write_ranking
from segfair.cli.terminal.voice import Answer, Voice


@app.command(
    cls=brief("by", "protocol", "private_labels", "audits", "out"),
    epilog="Example: segfair rank teams/ labels/ metadata.csv --out ranking/",
)
@spread
def rank(
    teams: Annotated[Path, typer.Argument(metavar="TEAMS", help="Folder with one sub-folder of masks a team.")],
    labels: Annotated[Path, typer.Argument(metavar="LABELS", help="Folder of reference masks.")],
    metadata: Annotated[Path, typer.Argument(metavar="METADATA", help="Table of patient attributes.")],
    label: Label = None,
    images: Images = None,
    strict: Strict = False,
    *,
    files: MaskFiles,
    running: Running,
    options: RankOptions,
) -> None:
    """Score many teams on the same labels; who is first, and why."""
    from segfair.files.finding.patterns import with_pattern
    from segfair.gallery.teams import with_galleries
    from segfair.gallery.worst_cases import with_images
    from segfair.rank.procedure import run_ranking
    from segfair.rank.teams import load_teams
    from segfair.report.ranking.files import refuse_place

    voice = Voice("rank", options.saying)
    refuse_place(options.out)  # told before an hour of scoring
    config = rank_config(
        options,
        labels=tuple(label or ()),
        threshold=files.threshold,
        spacing_mm=None if files.spacing is None else parse_spacing(files.spacing),
        strict=strict,
    )
    cohort, found = load_teams(
        teams,
        with_pattern(labels, files.label_pattern, option="--label-pattern"),
        metadata,
        pattern=files.pattern,
        **selection(options),
    )
    if images is not None and options.private_labels:
        voice.note(f"--images {images}: not used; with --private-labels there are no pictures of cases")
        images = None
    cohort, found_images = with_images(cohort, images)
    cache = score_cache(running, options.out)
    with scoring(len(cohort), running, voice) as (executor, on_done):
        ranking = run_ranking(
            cohort,
            found,
            config,
            by=options.by,
            over=split(options.over or ""),
            executor=executor,
            cache=cache,
            on_done=on_done,
        )
        if not options.private_labels:
            ranking = with_galleries(ranking, found, images=found_images, executor=executor)
    say_cache(cache, "predictions", voice)
    write_ranking(ranking, options, voice)


@app.command(
    "rank-scores",
    cls=brief("by", "protocol", "private_labels", "audits", "out"),
    epilog="Example: segfair rank-scores scores/ metadata.csv --by dsc --out ranking/",
)
@spread
def rank_scores(
    scores: Annotated[Path, typer.Argument(metavar="SCORES", help="Folder with one table of scores a team.")],
    metadata: Annotated[Path, typer.Argument(metavar="METADATA", help="Table of patient attributes.")],
    lower_is_better: LowerIsBetter = None,
    higher_is_better: HigherIsBetter = None,
    *,
    options: RankOptions,
) -> None:
    """The same ranking from per-case scores that exist already."""
    from segfair.rank.procedure import rank_scored
    from segfair.rank.team_tables import load_team_scores
    from segfair.report.ranking.files import refuse_place

    voice = Voice("rank-scores", options.saying)
    refuse_place(options.out)
    config = rank_config(options)
    found = load_team_scores(
        scores,
        metadata,
        protocol=config.protocol,
        **selection(options),
        lower_is_better=tuple(lower_is_better or ()),
        higher_is_better=tuple(higher_is_better or ()),
    )
    write_ranking(rank_scored(found, config, by=options.by, over=split(options.over or "")), options, voice)


@app.command(cls=Command, epilog="Example: segfair check submission/ --expect manifest.json")
@spread
def check(
    submission: Annotated[Path, typer.Argument(metavar="SUBMISSION", help="Folder of masks; with --write: of images.")],
    expect: Annotated[Path | None, typer.Option(help="What is expected: names, grids, values, sizes.")] = None,
    write: Annotated[
        Path | None, typer.Option(help="Write what is expected of masks of these images, and check nothing.")
    ] = None,
    values: Annotated[str | None, typer.Option(help="With --write: label values that may be, e.g. 1,2.")] = None,
    suffix: Annotated[
        list[str] | None, typer.Option(help="With --write: a format that may be, e.g. .nii.gz (repeatable).")
    ] = None,
    max_mb: Annotated[
        float | None, typer.Option(help="With --write: largest file, in megabytes.", min=1e-3, max=1e6)
    ] = None,
    equal_shape: Annotated[bool, typer.Option("--equal-shape", help="With --write: masks need no place.")] = False,
    *,
    saying: Saying,
) -> None:
    """Say whether a submission is as expected; takes no labels.

    Exit code 0: it is, 1: something has to be mended.
    """
    from segfair.errors import ConfigError
    from segfair.submission import check_submission, expect_like, read_expectation, write_expectation

    voice = Voice("check", saying)
    rules = {"--values": values, "--suffix": suffix, "--max-mb": max_mb, "--equal-shape": equal_shape or None}
    if (expect is None) == (write is None):
        raise ConfigError("segfair check: takes --expect FILE, or --write FILE to make one from a folder of images")
    if expect is not None:
        stray = [name for name, value in rules.items() if value is not None]
        if stray:
            raise ConfigError(f"{stray[0]}: is for --write; what is expected stands in {expect}")
        found = check_submission(submission, read_expectation(expect))
        say_check(found, voice)
        raise typer.Exit(0 if found.passed else 1)
    if write is not None:
        expectation = expect_like(
            submission,
            values=None if values is None else parse_values(values),
            suffixes=None if suffix is None else tuple(suffix),
            max_bytes=None if max_mb is None else round(max_mb * 1e6),
            match="shape" if equal_shape else "affine",
        )
        write_expectation(expectation, write)
        n_cases = len(expectation.cases)
        line = f"{n_cases} cases in {write}; a submission is checked by: segfair check SUBMISSION --expect {write}"
        voice.answer(Answer({"n_cases": n_cases, "files": {"expectation": str(write)}}, (line,)))
