"""What an audit was asked and what it found: facts only, and their JSON."""
