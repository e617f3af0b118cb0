"""What a process pays before it does anything."""

from __future__ import annotations

import subprocess
import sys

import segfair


def test_light_imports_stay_light() -> None:
    """The command line answers at once, and case weights need no torch."""
    code = (
        "import sys, segfair, segfair.cli, segfair.mitigation.weighting.weights; "
        "print([name for name in ('torch', 'monai', 'matplotlib', 'divexplorer') if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_the_command_line_imports_nothing_heavy() -> None:
    code = (
        "import sys, segfair.cli; "
        "print([name for name in ('numpy', 'pandas', 'scipy', 'nibabel') if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_every_public_name_exists_and_is_listed() -> None:
    for name in segfair.__all__:
        assert getattr(segfair, name) is not None, name
    assert set(segfair.__all__) <= set(dir(segfair))
    assert sorted(segfair.__all__) == list(segfair.__all__)
