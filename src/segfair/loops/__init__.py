"""An audit within somebody else's training loop: cases of a batch, their scores, what an epoch's cases come to."""
