"""Score folders of medical scans with an exported anomaly model: no torch, no network."""
