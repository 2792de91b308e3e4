"""Tables, progress and pictures of records, for the terminal and for pages."""
