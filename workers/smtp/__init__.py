"""Sending a mail: the dialogue with a relay, the relays, what their answers mean.

relays, relay     several relays behind one `send`; one relay as many threads see it
relay_breaker     when a relay that failed may be asked again
connection_pool   the open connections to one relay
connection        one of them, from mail to mail
transaction       one mail over one connection
dialogue          the commands and replies, each with a deadline
answers           what a reply, or silence, means for the mail
relay_settings, outgoing_mail   what comes in
"""
