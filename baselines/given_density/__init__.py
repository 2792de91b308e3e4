"""Methods that draw from a density that is given, and learn from no data."""
