"""What a person types, and what the demo shows."""
