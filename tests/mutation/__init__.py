"""Small faults put into the code that computes, one at a time, and whether the tests notice (`make mutants`)."""
