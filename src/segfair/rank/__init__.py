"""Many submissions, one set of labels: teams, their order, and how sure it is. Makes no page."""
