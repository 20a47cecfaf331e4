"""Handing a mail to a relay: the dialogue, the relays, what their answers mean."""
