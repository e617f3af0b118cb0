"""Training that makes a model fairer; needs the extra `segfair[mitigate]` (torch and monai). Never judges by itself.

Six rooms, each importing only from those before it: `networks`, `data`, `weighting`, `training` and `prediction`,
`experiment`. Scores, subgroups and verdicts are those of the audit.
"""
