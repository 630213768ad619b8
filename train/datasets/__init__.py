"""Where scans come from: a dataset is a function returning cases."""
