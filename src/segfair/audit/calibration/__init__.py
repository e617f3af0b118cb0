"""How far the probabilities behind the masks can be believed, group by group."""
