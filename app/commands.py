"""`flask jobs` of this app: its help needs neither app nor settings.

Creating the app loads SQLAlchemy, a driver and every job family, which takes most of a second.
"""

from .plugin import WITHOUT_APP, JobsPlugin

#: What `flask jobs --help` says about each command. `tests/test_commands.py` compares it with the
#: commands' own help.
COMMANDS = {
    "alerts": "List, silence and acknowledge health alerts",
    "apikey": "Create, list and revoke the keys of the job API",
    "batches": "List, watch, cancel and retry batches of jobs",
    "cancel": "Cancel jobs that are not finished; running ones are asked to stop",
    "check": "List queued jobs that this version of the code would reject",
    "db": "Create and upgrade the job tables, unless the app's migrations do",
    "delete": "Delete completed, cancelled or dead jobs for good",
    "dev": WITHOUT_APP["dev"],
    "dlq": "List, retry and delete messages in QStash's dead-letter queue",
    "doctor": "Check settings, database and QStash, and say how to fix problems",
    "enqueue": "Enqueue a job and print its id",
    "enqueue-again": "Enqueue a job's payload as another job, as it is or edited",
    "health": "Report whether jobs are healthy, and why not",
    "init": WITHOUT_APP["init"],
    "link": "Print a link to a job's status that needs no login",
    "list": "List jobs, newest first",
    "new": "Generate a job type with passing tests, in a new or existing family",
    "pause": "Pause a job type, a queue, a flow-control key or an organization",
    "paused": "List what is paused, by whom, why, and how many jobs wait for it",
    "reconcile": "Compare the table with QStash, and repair differences",
    "resume": "Resume what was paused, and publish the jobs that wait for it",
    "retry": "Retry failed or cancelled jobs, with all their retries again",
    "run": "Run a job's handler in this process, without QStash",
    "schedules": "List, create, run, pause and delete schedules at QStash",
    "show": "Show one job: its timeline, attempts, payload and result",
    "stats": "Count recent jobs by type and status, with run and wait times",
    "sweep": "Repair what crashes and outages left behind",
    "types": "List the registered job types and their settings",
    "usage": "Count the QStash messages that jobs took, beside what the plan allows",
    "watch": "Follow a job to its end",
    "workflows": "List, watch, cancel and retry workflows and chains",
}

jobs = JobsPlugin(COMMANDS)
