"""What a run came to: on the terminal and as a JSON document."""
