"""From an experiment's configuration to the calls: the one room that knows every other."""
