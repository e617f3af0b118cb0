"""Many submissions, one set of labels: teams, their order, how sure it is, and the pages that say so."""
