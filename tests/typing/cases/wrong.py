"""Calls that are wrong: on each line with `# wrong`, and no other, type checkers find an error."""

from dataclasses import dataclass

from app.jobs import Job, JobBlueprint
from tests.typing.cases.right import Text, TextSchema, notify, send_text

bp = JobBlueprint("wrong", __name__)


@dataclass(frozen=True)
class Other:
    to: str


send_text.enqueue(Text(too="+49"))  # wrong
send_text.enqueue(Text(to=49))  # wrong
send_text.enqueue(Text())  # wrong
send_text.enqueue(Other(to="+49"))  # wrong
send_text.enqueue({"to": "+49"})  # wrong
send_text.enqueue()  # wrong
send_text.enqueue(Text("+49"), dealy="5m")  # wrong
send_text.enqueue(Text("+49"), delay=[5])  # wrong
send_text.enqueue(Text("+49"), retries="3")  # wrong
send_text.enqueue(Text("+49"), user_id=1.5)  # wrong
send_text.enqueue(Text("+49"), timezone="UTC")  # wrong
send_text.enqueue_many([Text("+49"), Other("+49")])  # wrong
send_text.enqueue_many([Text("+49")], idempotency_key="one")  # wrong
send_text.schedule("@daily", Other("+49"))  # wrong
send_text.schedule("@daily", Text("+49"), session=None)  # wrong
notify.enqueue(Text("+49"), dealy="5m")  # wrong
notify.enqueue(Other("+49"))  # wrong
job_id: int = send_text.enqueue(Text("+49"))  # wrong


@bp.job("other", "/other", payload=TextSchema)  # wrong
def takes_another(payload: Other, job: Job) -> None: ...


@bp.job("less", "/less", payload=TextSchema)  # wrong
def takes_less(payload: Text) -> None: ...


@bp.job("number", "/number", payload=TextSchema)  # wrong
def returns_a_number(payload: Text, job: Job) -> int:
    return 1


@bp.job("async-number", "/async-number", payload=TextSchema)  # wrong
async def waits_for_a_number(payload: Text, job: Job) -> int:
    return 1


bp.job("option", "/option", payload=TextSchema, timout=5)  # wrong
bp.job("time", "/time", payload=TextSchema, timeout=[5])  # wrong
