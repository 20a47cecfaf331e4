"""Every setting, parsed once at the start."""
