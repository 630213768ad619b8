"""Ways of spreading scans over workers."""
