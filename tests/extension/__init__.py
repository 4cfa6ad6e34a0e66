"""The extension as people install it: its wheel and its source distribution, in their apps."""
