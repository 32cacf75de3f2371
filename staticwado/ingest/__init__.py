"""The only writer: sources in, an archive and a report out."""
