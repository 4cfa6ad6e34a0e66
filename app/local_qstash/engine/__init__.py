"""Decides when each message is sent, sends it, and records the outcome."""
