"""A module per contender, with `prepare(path, option)`, which gives what is timed. Each imports only what it needs."""
