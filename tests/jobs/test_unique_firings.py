"""A schedule of a unique job: what fires while another has its key is not needed."""

from typing import Any

import pytest
from flask import Flask

from app.jobs import Job, JobBlueprint, Unique, enqueue
from app.jobs.operate import firings
from app.jobs.testing import fire
from tests.support.rows import Rows, change_row, count_rows
from tests.support.sample_jobs import Sample, SampleSchema
