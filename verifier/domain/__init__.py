"""The rules, pure: addresses, codes, keys, verification states, limits and errors. No I/O, no clock."""
