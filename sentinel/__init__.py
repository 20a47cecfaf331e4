"""Reaching and watching Redis through Sentinel. Knows nothing of verifications, mails or Flask."""
