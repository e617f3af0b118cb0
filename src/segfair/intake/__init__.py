"""Folders and tables -> `Cohort`: which cases count, and which row of the table is whose. Scores nothing."""
