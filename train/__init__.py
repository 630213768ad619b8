"""Fit models of normal scans."""
