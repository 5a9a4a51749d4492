"""`stagetwin watch`."""
