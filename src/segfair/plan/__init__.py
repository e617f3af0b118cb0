"""What is fixed before a study is seen: its plan and hash, how many cases it takes, whether an audit was that plan."""
