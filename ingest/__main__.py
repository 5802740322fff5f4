"""``python -m ingest``, and the program ``ingest``."""

from __future__ import annotations

import signal


def start() -> None:
    """Loads the program and runs it."""
    # Nothing is open while it is loaded: until it has handlers of its own Ctrl-C ends it without a traceback.
    if signal.getsignal(signal.SIGINT) is signal.default_int_handler:
        signal.signal(signal.SIGINT, signal.SIG_DFL)
    from ingest.cli.main import entry

    entry()


if __name__ == "__main__":
    start()
