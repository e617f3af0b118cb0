"""The pages of a mitigation: facts of `summary`, `gains` and the audits -> HTML. Compute nothing."""
