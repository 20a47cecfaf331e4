"""Verifier proves that a person can read an email address."""
