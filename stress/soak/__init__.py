"""``python -m stress soak``: faults of every kind, for minutes, and nothing lost or left over."""
