"""Ways of fitting: each a generator that yields after every epoch."""
