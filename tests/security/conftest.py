"""The hostile study and its plain twin, written once."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from tests.security.hostile import KINDS, write_files, write_mitigation


@pytest.fixture(scope="session")
def written(once: Callable[..., Any], call_cli: Callable[..., Any]) -> Callable[[str], Path]:
    """Kind of names -> the folder of everything that was written of a study with them."""

    def of(kind: str) -> Path:
        def make(folder: Path) -> Path:
            out = write_files(folder, KINDS[kind], call_cli)
            try:
                import torch  # noqa: F401
            except ImportError:
                return out
            write_mitigation(out / "mitigation", KINDS[kind])
            return out

        return once(f"hostile {kind}", make)

    return of
