"""The only answerer of queries."""
