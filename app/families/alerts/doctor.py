"""Checks of the alert settings for `flask jobs doctor`."""

from flask import current_app

from app.families.alerts import bp
from app.families.alerts.channels import CHANNELS, configured
from app.jobs import doctor
from app.jobs.doctor import Finding


@doctor.check(bp, "alerts", production=True)
def alerts() -> Finding:
    channels = configured(current_app.config)
    if not channels:
        settings = ", ".join(setting for setting, _ in CHANNELS.values())
        return doctor.warning(
            "nobody is alerted when jobs become unhealthy",
            fix=f"set any of {settings}; then `flask jobs alerts test`",
        )
    return doctor.passed(f"alerts go to {', '.join(channels)}")
