"""The networks, the memory and device they take, and their files. Never trains one, and knows no case by name."""
