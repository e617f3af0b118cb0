"""All causes, in the order of what they are about."""

from tests.catalogue import audits

__all__ = ["CAUSES"]

CAUSES = [*audits.CAUSES]
