"""The control plane as ``dryport.platform.control_plane`` makes it, without its loops: for ``api.py``.

``api_platform.py STATE_DIR PORT KEY_FILE`` serves until SIGTERM.
"""

from __future__ import annotations

import asyncio
import gc
import json
import signal
import sys
from pathlib import Path

import uvloop

from dryport.control.clock import SystemClock
from dryport.control.config import Config
from dryport.control.context import Context
from dryport.control.entropy import Entropy
from dryport.gateway.server import Gateway
from dryport.iam.credentials import create_root_key
from dryport.platform.control_plane import GARBAGE, SWITCH_SECONDS
from dryport.platform.rooms import furnish
from dryport.store.sqlite import SqliteStore


async def serve(state: Path, port: int, ready: Path) -> None:

    config = Config(state_dir=state, port=port)
    config.log_dir.mkdir()
    config.run_dir.mkdir()
    store = SqliteStore.open(state / "control.db")
    context = Context(store=store, clock=SystemClock(), random=Entropy(), config=config)
    key = await store.transact(lambda tx: create_root_key(tx, context.random, config.account))
    ready.write_text(json.dumps([key.access_key_id, key.secret_access_key]))
    gateway = Gateway(context, furnish(context))
    gc.collect()
    gc.freeze()
    gc.set_threshold(*GARBAGE)
    task = asyncio.create_task(gateway.serve(["127.0.0.1"], port))
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, task.cancel)
    await asyncio.gather(task, return_exceptions=True)
    await store.close()


if __name__ == "__main__":
    sys.setswitchinterval(SWITCH_SECONDS)
    uvloop.run(serve(Path(sys.argv[1]), int(sys.argv[2]), Path(sys.argv[3])))
