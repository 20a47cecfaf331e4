"""The embedded topology: real processes on loopback, for development, tests and drills."""
