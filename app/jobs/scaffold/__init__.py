"""Generating a new job type: its module, its test and, if needed, its family.

It never overwrites the app's files; the templates are in this folder.
"""
