"""All causes, by what they are about."""

from tests.catalogue import audits, masks, options, places, rules

__all__ = ["CAUSES", "KINDS"]

KINDS = {
    "masks of every format": masks.CAUSES,
    "audits and manifests, edited by hand": audits.CAUSES,
    "protocols, gates, bins, expressions": rules.CAUSES,
    "numbers, choices, columns, commands": options.CAUSES,
    "pipes, folders, names, streams, environments": places.CAUSES,
}
CAUSES = [cause for causes in KINDS.values() for cause in causes]
