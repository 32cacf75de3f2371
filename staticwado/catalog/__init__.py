"""Derived databases beside the archive: rows in, rows out; everything here can be thrown away."""
