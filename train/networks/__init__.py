"""Blocks and architectures that methods share."""
