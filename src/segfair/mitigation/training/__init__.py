"""Training in time order, and what the strategies change in it."""
