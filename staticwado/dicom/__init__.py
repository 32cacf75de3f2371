"""PS3.5, PS3.6, PS3.10 and PS3.19 as pure functions over bytes."""
