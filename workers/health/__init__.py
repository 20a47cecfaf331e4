"""Whether a worker process is well: what it writes of itself (`pulse`), and the check that reads it (`__main__`)."""
