"""Score folders of medical scans with an exported anomaly model: no torch, no network."""

# Here and not asked of the installed package: that takes 30 ms of every start.
__version__ = "0.1.0"
