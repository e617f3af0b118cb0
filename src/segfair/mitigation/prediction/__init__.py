"""A trained network and images -> masks."""
