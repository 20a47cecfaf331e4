"""The way to the master, wherever it goes."""
