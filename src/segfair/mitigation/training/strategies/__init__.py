"""The strategies: what one is (`strategy`), those that act on the draws, the loss or the data, and their names."""
