"""PS3.18 as pure functions: resources, media types, multipart bodies, attributes of a level."""
