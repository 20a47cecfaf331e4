"""The drill: practised failure, with a report.

It starts a private topology, the web app, workers and a mail server that writes down what it gets; sends
numbered submissions at a steady rate; injects a fault; and counts what became of each submission. Everything
runs on loopback and ends with the command. Linux only, and with the development requirements.

    command -> game_day -> one round per fault:  rig/ (what runs, who asks, who gets, who looks)  faults
    round -> counting -> verdicts -> report/ (tables, JSON, HTML)
"""
