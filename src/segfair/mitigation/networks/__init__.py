"""The networks, the memory and device they take, and their files."""
