"""A mitigation from settings to its page: every strategy beside plain training. Never computes a loss or a weight."""
