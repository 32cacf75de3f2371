"""The commands: the only place with click, exit codes and printing."""
