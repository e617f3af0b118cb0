"""What lies where in trees of any shape: by a pattern, by the names of structures, by BIDS."""
