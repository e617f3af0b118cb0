"""All causes, in the order of what they are about."""

from tests.catalogue import audits, options, places, rules

__all__ = ["CAUSES"]

CAUSES = [*audits.CAUSES, *rules.CAUSES, *options.CAUSES, *places.CAUSES]
