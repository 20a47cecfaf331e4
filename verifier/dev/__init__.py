"""For development only: the mailbox that catches what the embedded service sends."""
