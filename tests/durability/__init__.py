"""What becomes of an archive when power, process, disk or database fail (docs/durability.md)."""
