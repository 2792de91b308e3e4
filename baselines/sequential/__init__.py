"""Models of what comes next: frames of clips."""
