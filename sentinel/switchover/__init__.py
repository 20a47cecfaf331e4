"""The planned switchover, which loses nothing."""
