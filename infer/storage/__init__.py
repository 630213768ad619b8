"""Models, scans and results in object storage; its library is imported by who gives an address."""
