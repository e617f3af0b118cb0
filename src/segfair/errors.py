"""The exceptions that segfair raises on purpose.

    SegfairError
    ├── InputError          a file, folder or table that was handed in cannot be used
    │   ├── PairingError    predictions and labels do not belong together
    │   ├── GeometryError   two masks lie on different grids
    │   └── MetadataError   the metadata table cannot be read as attributes
    ├── ConfigError         settings that contradict each other or do not exist
    └── AuditError          the audit cannot be carried out on this cohort

A message says what, where, got, and what to do. Only `segfair.cli.main` catches `SegfairError`.
"""


class SegfairError(Exception):
    """Anything segfair refuses on purpose; the message is meant for the user."""


class InputError(SegfairError):
    """A file, folder or table that was handed in cannot be used."""


class PairingError(InputError):
    """Predictions and labels do not belong together."""


class GeometryError(InputError):
    """Two masks lie on different grids."""


class MetadataError(InputError):
    """The metadata table cannot be read as attributes of these cases."""


class ConfigError(SegfairError):
    """Settings that contradict each other or do not exist."""


class AuditError(SegfairError):
    """The audit cannot be carried out on this cohort."""
