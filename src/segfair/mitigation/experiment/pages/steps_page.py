"""What was compared, and what to type next: page data of a mitigation. Computes nothing; knows no files but by name."""

from __future__ import annotations

import shlex
from collections.abc import Collection, Iterator, Sequence

from segfair.audit.words import clean, shorten
from segfair.mitigation.experiment.summary import MitigationSummary, ModelSummary
from segfair.mitigation.training.catalogue import BASELINE, STRATEGIES
from segfair.report.parts import Data, step

__all__ = ["model_list", "next_steps"]

_NAME = 40
_REMEDIES = {
    "rare and under-learned": ("Show the group more often, and train longer:", "--strategy balanced --epochs {longer}"),
    "not fitted": ("Show the group more often:", "--strategy balanced"),
    "hard in itself": ("Look at the images and labels of the group's worst cases", ""),
    "learned but not generalising": ("Augment more strongly, and collect more cases of the group:", "--recipe strong"),
    "too little trained": ("Train longer before anything else:", "--epochs {longer}"),
    "insufficient evidence": ("Judge every case instead of a few:", "--folds 5 --seeds 3"),
}
"""Kind of a diagnosis -> what may help, and the options for it."""


def model_list(models: Sequence[ModelSummary], files: Collection[str]) -> list[Data]:
    """Each model: what its strategy does, and where its audit and its comparison lie, as far as they do."""
    return [
        {
            "name": clean(model.name, length=_NAME),
            "text": clean(_rule(model.strategy), length=400),
            "links": [
                {"href": href, "name": name}
                for name, href in (
                    ("audit", f"{model.name}/audit/report.html"),
                    ("changes, to sort and filter", f"{model.name}/comparison/comparison.html"),
                )
                if href in files
            ],
        }
        for model in models
    ]


def _rule(strategy: str) -> str:
    """What a strategy does, and who proposed it."""
    entry = STRATEGIES[strategy]
    return f"{entry.rule[:1].upper()}{entry.rule[1:]}{f' ({entry.paper})' if entry.paper else ''}."


def next_steps(summary: MitigationSummary, files: Collection[str]) -> list[Data]:
    """Sentences, each with the command for it where there is one."""
    return list(_steps(summary, files))


def _steps(summary: MitigationSummary, files: Collection[str]) -> Iterator[Data]:
    models = summary.models
    folded = any("pooled" in model.scores for model in models)
    recommended = [model for entry in summary.conclusions for model in models if model.name == entry.recommended]
    for model in recommended:
        audit = f"{model.name}/audit/report.html"
        yield step(
            f"Before {clean(model.name, length=_NAME)} is used, read its audit: a gain is not the absence of a gap.",
            href=audit if audit in files else "",
        )
    if not recommended:
        yield from _remedies(models)
    if not folded:
        chosen = recommended or [model for model in models if model.strategy != BASELINE]
        strategies = " ".join(f"--strategy {name}" for name in dict.fromkeys(model.strategy for model in chosen))
        yield step(
            "One training a model is one draw of luck: repeat it in folds and with several seeds before relying on it:",
            code=_command(f"{strategies} --folds 5 --seeds 3".strip()),
        )


def _remedies(models: Sequence[ModelSummary]) -> Iterator[Data]:
    """What the plain model's diagnosis asks for; of no model nothing."""
    found = next((model for model in models if model.diagnosis is not None), None)
    if found is None or found.diagnosis is None:
        return
    for cause in found.diagnosis["causes"]:
        if cause["kind"] not in _REMEDIES:  # single cases, or lesions that are hard in everybody: the advice says which
            yield step(f"{shorten(clean(cause['advice']), 400)}.")
            continue
        text, options = _REMEDIES[cause["kind"]]
        yield step(text if options else f"{text}.", code=_command(options.format(longer=2 * found.epochs)))


def _command(options: str) -> str:
    return shlex.join(["segfair", "mitigate", "DATA", *options.split()]) if options else ""
