"""Writing a new job type: its module, its test and, where there is none yet, its family."""
