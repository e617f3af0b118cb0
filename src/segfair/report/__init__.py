"""Everything that a person sees. Computes no statistic."""
