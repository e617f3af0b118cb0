"""All causes, by what they are about."""

from tests.catalogue import (
    audits,
    checkpoints,
    cohorts,
    environment,
    masks,
    options,
    places,
    plans,
    rules,
    sheets,
    submissions,
    teams,
    trainings,
)

__all__ = ["CAUSES", "KINDS"]

KINDS = {
    "masks of every format": masks.CAUSES,
    "tables": sheets.CAUSES,
    "teams that cheat, teams that are none": teams.CAUSES,
    "audits and manifests, edited by hand": audits.CAUSES,
    "protocols, gates, bins, expressions": rules.CAUSES,
    "plans of studies": plans.CAUSES,
    "audits of different patients": cohorts.CAUSES,
    "submissions and what is expected of them": submissions.CAUSES,
    "numbers, choices, columns, commands": options.CAUSES,
    "environments, limits, permissions": environment.CAUSES,
    "pipes, folders, names, streams, environments": places.CAUSES,
    "settings, networks, data and splits of trainings; phantoms": trainings.CAUSES,
    "checkpoints, and runs that go on": checkpoints.CAUSES,
}
CAUSES = [cause for causes in KINDS.values() for cause in causes]
