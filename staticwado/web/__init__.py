"""The HTTP edge: translates PS3.18 requests into reads of the archive; owns no rules."""
