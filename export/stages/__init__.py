"""One DVC stage, one module."""
