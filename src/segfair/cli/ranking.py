"""`rank` and `rank-scores`. Ranks nothing itself."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from segfair.cli.app import app
from segfair.cli.commands import brief
from segfair.cli.options import (
    HigherIsBetter,
    Images,
    Label,
    LowerIsBetter,
    RankOptions,
    Running,
    Spacing,
    Strict,
    Threshold,
    spread,
)
from segfair.cli.settings import parse_spacing, rank_config, score_cache, selection
from segfair.cli.terminal.progress import scoring
from segfair.cli.terminal.results import say_cache, write_ranking
from segfair.cli.terminal.voice import Voice


@app.command(
    cls=brief("by", "protocol", "private_labels", "audits", "attributes", "out"),
    epilog="Example: segfair rank teams/ labels/ metadata.csv --out ranking/",
)
@spread
def rank(
    teams: Annotated[Path, typer.Argument(metavar="TEAMS", help="Folder with one sub-folder of masks a team.")],
    labels: Annotated[Path, typer.Argument(metavar="LABELS", help="Folder of reference masks.")],
    metadata: Annotated[Path, typer.Argument(metavar="METADATA", help="Table of patient attributes.")],
    label: Label = None,
    threshold: Threshold = None,
    spacing: Spacing = None,
    images: Images = None,
    strict: Strict = False,
    *,
    running: Running,
    options: RankOptions,
) -> None:
    """Score many teams on the same labels; who is first, and why."""
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
        threshold=threshold,
        spacing_mm=None if spacing is None else parse_spacing(spacing),
        strict=strict,
    )
    cohort, found = load_teams(
        teams,
        labels,
        metadata,
        **selection(options),
    )
    if images is not None and options.private_labels:
        voice.note(f"--images {images}: not used; with --private-labels there are no pictures of cases")
        images = None
    cohort, found_images = with_images(cohort, images)
    cache = score_cache(running, options.out)
    with scoring(len(cohort), running, voice) as (executor, on_done):
        ranking = run_ranking(cohort, found, config, by=options.by, executor=executor, cache=cache, on_done=on_done)
        if not options.private_labels:
            ranking = with_galleries(ranking, found, images=found_images, executor=executor)
    say_cache(cache, "predictions", voice)
    write_ranking(ranking, options, voice)


@app.command(
    "rank-scores",
    cls=brief("by", "protocol", "private_labels", "audits", "attributes", "out"),
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
    write_ranking(rank_scored(found, config, by=options.by), options, voice)
