"""gunicorn's settings for the web app; any of them can be overridden on its command line."""

bind = "127.0.0.1:8000"
worker_class = "gthread"
workers = 2
threads = 16
# A request may wait through a failover (VERIFIER_REQUEST_DEADLINE), and must not be killed while it does.
timeout = 60
graceful_timeout = 30
accesslog = None
# gunicorn 27 would write a control socket into the home directory.
control_socket_disable = True
