"""What a result stands on: the code, the user's own files, the machine."""
