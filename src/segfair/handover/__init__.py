"""What leaves the house: records, cards, pseudonyms, shared folders, manifests, in the one safe order."""
