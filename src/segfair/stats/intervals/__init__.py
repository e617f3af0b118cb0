"""How sure a mean is: from resampled cases, small groups, all groups together, several seeds. Arrays only."""
