"""DSC, HD95 and NSD as other tools define them, beside those of `segfair.scoring.metrics`."""
