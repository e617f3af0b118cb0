"""How far the probabilities of a model can be believed: maps of cases to measures of them."""
