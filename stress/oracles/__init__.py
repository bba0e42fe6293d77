"""How a scenario knows what became of its contributions."""
