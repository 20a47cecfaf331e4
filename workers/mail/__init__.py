"""Rendering a mail.

mailer      from a code to an outgoing mail
message     the mail as Flask-Mail builds it
template    the built message, filled in for each mail
addresses   sender and recipient, as a mail needs them
"""
