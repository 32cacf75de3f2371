"""Who asks, and what they may: identities, their proofs, and the rules that turn claims into rights."""
