"""Configuration: a JSON5 file, the environment and flags become a frozen dataclass of options."""

from staticwado.config.reader import ArchiveOptions, read_options

__all__ = ["ArchiveOptions", "read_options"]
