"""Looking at a topology: a frozen snapshot, and what is wrong with it."""
