"""The rig of the drill and of the benchmarks: what runs the systems under test, loads them and measures them.

testbed (topology, logs) -> service (web, workers) -> process;  systems and peers/ say what is run
open_load (who asks)   mail_sink (who gets)   loop_thread (where both live)
measurement, connection_attempts, sentinel_events, log_alarm (who looks)   svg
"""
