"""Rendering a mail."""
