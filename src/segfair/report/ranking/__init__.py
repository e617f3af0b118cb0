"""The leaderboard and the page of each team."""
