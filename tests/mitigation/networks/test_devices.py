"""Where to compute, from what the user named."""

from __future__ import annotations

import pytest
import torch

from segfair.errors import ConfigError
from segfair.mitigation.networks.devices import find_device


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a GPU here")
def test_devices() -> None:
    assert find_device("auto") == find_device("cpu") == "cpu"
    for name in ("cuda", "cuda:0"):
        with pytest.raises(ConfigError, match="sees no GPU here; use --device cpu"):
            find_device(name)
    for name in ("gpu", "cpu:1", "cuda:", "cuda:x", "mps"):
        with pytest.raises(ConfigError, match="expected auto, cpu, cuda or cuda:N"):
            find_device(name)
