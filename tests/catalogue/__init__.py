"""What a stranger may hand in that cannot work: one cause a line, with the exit code and the words that are due."""
