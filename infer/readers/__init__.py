"""Files of one format → Volume, by suffix."""
