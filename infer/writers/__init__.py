"""Masks and pictures → files, written whole or not at all."""
