"""What a result stands on: the code, and the machine."""
