"""The drill: practised failure, with a report.

It starts a private topology, the web app, workers and a mail server that writes down what it gets; sends
numbered submissions at a steady rate; does harm; and counts what became of each submission. Everything runs
on loopback and ends with the command. Linux only, as it reads /proc.

    command -> game_day -> one round per fault:  stage (what runs)  load (who asks)  mail_recorder (who gets)
                                                 faults (what befalls it)  events, usage, attempts (who looks)
    round -> counting -> verdicts -> table, report
"""
