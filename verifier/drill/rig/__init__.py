"""What a drill or a benchmark runs on: processes, load, mail sink, measuring."""
