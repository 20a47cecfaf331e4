"""For development only: what `flask run` brings with it where no sentinels are configured, and the mailbox.

embedded         the embedded surroundings: topology, mail server and worker, started in this order; where to look
mail_server      takes every mail and keeps it in a Maildir
maildir          reads that Maildir
mailbox          shows the mails at /dev/mailbox
worker_process   keeps a worker running beside the app
"""
