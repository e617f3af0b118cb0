"""What an audit concludes: findings, verdict, gates, and what it could have shown. Changes no number."""
