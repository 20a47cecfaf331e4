"""Verifications and deliveries in Redis: keys, times to live, atomic steps."""
