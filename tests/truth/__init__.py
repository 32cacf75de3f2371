"""What the product's output must be, found without the product's own code (and never imported by it)."""
