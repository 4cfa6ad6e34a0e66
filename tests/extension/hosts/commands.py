"""Run several `flask` commands in one process, and print what each printed, as JSON."""

import importlib
import json
import sys

from dotenv import load_dotenv

load_dotenv()  # as `flask` does
module = importlib.import_module(sys.argv[1])
app = module.create_app() if hasattr(module, "create_app") else module.app
printed = []
for command in sys.argv[2:]:
    done = app.test_cli_runner().invoke(args=command.split())
    if done.exit_code:
        sys.exit(f"{command}: {done.output} {done.exception!r}")
    printed.append(done.stdout)
print(json.dumps(printed))
