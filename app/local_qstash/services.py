"""The parts of a running server, created in the order of their dependencies."""

from dataclasses import dataclass

from .clock import Clock
from .engine.engine import Engine
from .engine.faulty_transport import FaultyTransport
from .engine.flow_keys import FlowKeys
from .engine.intake import Intake
from .engine.janitor import Janitor
from .engine.queues import Queues
from .engine.schedules import Schedules
from .engine.transport import HttpTransport
from .engine.url_groups import UrlGroups
from .engine.usage import Usage
from .faults import Faults
from .protocol.signing import SigningKeys
from .settings import Settings
from .store.store import Store

_GRACE = 5.0  # seconds that attempts in flight get when the server stops


@dataclass(frozen=True, slots=True)
class Services:
    """The services behind the API."""

    settings: Settings
    clock: Clock
    store: Store
    keys: SigningKeys
    faults: Faults
    usage: Usage
    engine: Engine
    queues: Queues
    groups: UrlGroups
    flows: FlowKeys
    intake: Intake
    schedules: Schedules
    janitor: Janitor

    async def stop(self) -> None:
        """Finish or safely keep what is in flight, then close the state file."""
        await self.janitor.stop()
        await self.schedules.stop()
        await self.engine.stop(_GRACE)
        await self.engine.transport.close()
        await self.store.close()


async def start_services(settings: Settings) -> Services:
    """Open the state file, load it, and resume what is due.

    Raises:
        StateFileError: the file cannot be used.
    """
    store, clock, keys = (
        Store(settings.state),
        Clock(settings.speed),
        SigningKeys(
            settings.credentials.current_signing_key, settings.credentials.next_signing_key
        ),
    )
    faults = Faults(settings.faults, settings.fault_seed)
    transport = FaultyTransport(HttpTransport(settings, keys), faults)
    usage = Usage(clock, settings.limits)
    engine = Engine(settings, clock=clock, store=store, transport=transport, usage=usage)
    queues, flows = Queues(engine, store, settings.limits), FlowKeys(engine, store)
    groups = UrlGroups(clock, store, settings.limits)
    intake = Intake(engine, settings.limits, groups=groups, queues=queues, flows=flows)
    schedules = Schedules(clock, engine.timers, store=store, intake=intake)
    janitor = Janitor(clock, store, settings.limits)
    # Settings before messages: a paused queue must be paused before it is filled.
    loads = (usage.load, queues.load, flows.load, groups.load)
    for load in (*loads, intake.deduplication.load, schedules.load):
        store.load(load)
    engine.load()
    janitor.start()
    return Services(
        settings=settings,
        clock=clock,
        store=store,
        keys=keys,
        faults=faults,
        usage=usage,
        engine=engine,
        queues=queues,
        groups=groups,
        flows=flows,
        intake=intake,
        schedules=schedules,
        janitor=janitor,
    )
