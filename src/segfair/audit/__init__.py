"""A cohort and a configuration -> an `AuditResult`. Draws and writes nothing."""
