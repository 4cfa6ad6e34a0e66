"""Writing a new job type: its module, its test and, where there is none yet, its family.

It writes files of the app's, never over existing ones; the templates are beside it.
"""
