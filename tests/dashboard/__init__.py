"""The dashboard, by HTTP: each screen, each action and each refusal."""
