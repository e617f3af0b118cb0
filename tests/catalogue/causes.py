"""All causes, by what they are about."""

from tests.catalogue import audits, environment, masks, options, places, rules, sheets, teams

__all__ = ["CAUSES", "KINDS"]

KINDS = {
    "masks of every format": masks.CAUSES,
    "tables": sheets.CAUSES,
    "teams that cheat, teams that are none": teams.CAUSES,
    "audits and manifests, edited by hand": audits.CAUSES,
    "protocols, gates, bins, expressions": rules.CAUSES,
    "numbers, choices, columns, commands": options.CAUSES,
    "environments, limits, permissions": environment.CAUSES,
    "pipes, folders, names, streams, environments": places.CAUSES,
}
CAUSES = [cause for causes in KINDS.values() for cause in causes]
