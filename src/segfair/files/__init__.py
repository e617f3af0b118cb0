"""The only readers and writers of user files."""
