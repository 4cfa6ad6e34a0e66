"""Decides which message may go when, sends it, and records what came of it."""
