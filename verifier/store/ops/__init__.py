"""What is kept for the operators' page alone: the minutes' figures, and its logins."""
