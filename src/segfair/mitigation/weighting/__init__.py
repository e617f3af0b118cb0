"""From divergences to case weights, with numpy only. Never imports torch, and never applies a weight to a loss."""
