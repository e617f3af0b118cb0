"""Training that makes a model fairer; needs the extra `segfair[mitigate]` (torch and monai)."""
