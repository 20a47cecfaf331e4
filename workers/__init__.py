"""The RQ worker and the mail."""
