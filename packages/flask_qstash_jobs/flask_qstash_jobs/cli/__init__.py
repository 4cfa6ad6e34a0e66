"""For an app's own commands: `cli.kit`."""
