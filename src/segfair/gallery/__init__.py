"""The worst cases, overall and of flagged subgroups, with slices through their largest error. Makes no page."""
