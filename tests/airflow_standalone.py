"""``airflow standalone`` and its REST API, for tests."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

T = TypeVar("T")
WAIT_S = 300


class Standalone:
    """Scheduler, triggerer, DAG processor and API server in processes of one session."""

    def __init__(self, home: Path, dags: Path) -> None:
        self.home = home
        self.dags = dags
        self._port = free_port()
        self._token = ""
        environment = os.environ | {
            "AIRFLOW_HOME": str(home),
            "AIRFLOW__CORE__DAGS_FOLDER": str(dags),
            "AIRFLOW__CORE__DAGS_ARE_PAUSED_AT_CREATION": "False",
            "AIRFLOW__CORE__SIMPLE_AUTH_MANAGER_ALL_ADMINS": "True",
            "AIRFLOW__CORE__EXECUTION_API_SERVER_URL": f"http://127.0.0.1:{self._port}/execution/",
            "AIRFLOW__API__PORT": str(self._port),
            "AIRFLOW__API__HOST": "127.0.0.1",
            "AIRFLOW__API__WORKERS": "1",
            "AIRFLOW__API__BASE_URL": f"http://127.0.0.1:{self._port}",
            "AIRFLOW__TRIGGERER__QUEUES_ENABLED": "False",
            "AIRFLOW__SCHEDULER__TRIGGERER_HEALTH_CHECK_THRESHOLD": "60",
            "AIRFLOW__LOGGING__WORKER_LOG_SERVER_PORT": str(free_port()),
            "AIRFLOW__LOGGING__TRIGGER_LOG_SERVER_PORT": str(free_port()),
        }
        self._log = (home / "standalone.log").open("wb")
        program = Path(sys.executable).with_name("airflow")
        self._process = subprocess.Popen(
            [program, "standalone"],
            env=environment | {"PATH": f"{program.parent}:{os.environ['PATH']}"},
            cwd=home,
            stdout=self._log,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )

    def wait_until_up(self) -> None:
        """All four parts say that they are healthy."""
        self.wait_for(self._is_up, "Airflow to come up")

    def close(self) -> None:
        """Ends all of the session's processes."""
        self._signal(signal.SIGTERM)
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._process.wait(20)
        self._signal(signal.SIGKILL)
        self._process.wait(10)
        self._log.close()

    def call(self, method: str, path: str, body: Any = None) -> Any:
        """A request to the API; its JSON."""
        headers = {"Content-Type": "application/json", "Authorization": f"Bearer {self._token}"}
        data = None if body is None else json.dumps(body).encode()
        request = urllib.request.Request(f"http://127.0.0.1:{self._port}{path}", data, headers, method=method)
        with urllib.request.urlopen(request, timeout=30) as answer:
            return json.loads(answer.read() or b"null")

    def trigger(self, dag: str, **conf: Any) -> str:
        """Starts a run; its id."""
        self.wait_for(lambda: self._knows(dag), f"the DAG {dag}")
        run = self.call("POST", f"/api/v2/dags/{dag}/dagRuns", {"logical_date": None, "conf": conf})
        return str(run["dag_run_id"])

    def task(self, dag: str, run: str, task: str, map_index: int = -1) -> dict[str, Any]:
        """The task instance as it is now."""
        at = f"/api/v2/dags/{dag}/dagRuns/{run}/taskInstances/{task}"
        found: dict[str, Any] = self.call("GET", at if map_index < 0 else f"{at}/{map_index}")
        return found

    def wait_for_task(self, dag: str, run: str, task: str, *states: str, map_index: int = -1) -> dict[str, Any]:
        """Until the task is in one of these states."""

        def arrived() -> dict[str, Any] | None:
            found = self.task(dag, run, task, map_index)
            assert found["state"] in states or found["state"] not in ("failed", "upstream_failed"), self.log(dag, task)
            return found if found["state"] in states else None

        return self.wait_for(arrived, f"{dag}.{task} to be {' or '.join(states)}")

    def result(self, dag: str, run: str, task: str) -> Any:
        """What the task returned."""
        return self.call("GET", f"/api/v2/dags/{dag}/dagRuns/{run}/taskInstances/{task}/xcomEntries/return_value")[
            "value"
        ]

    def clear(self, dag: str, run: str, task: str) -> None:
        """What the button Clear does."""
        body = {"dry_run": False, "dag_run_id": run, "task_ids": [task], "only_failed": False, "reset_dag_runs": True}
        self.call("POST", f"/api/v2/dags/{dag}/clearTaskInstances", body)

    def log(self, dag: str, task: str) -> str:
        """All that the attempts of the task have said."""
        folder = self.home / "logs"
        found = sorted(folder.rglob(f"dag_id={dag}/*/task_id={task}/**/*.log"))
        return "\n".join(path.read_text() for path in found)

    def wait_for(self, look: Callable[[], T | None], what: str, seconds: float = WAIT_S) -> T:
        """Looks again and again until there is something."""
        deadline = time.monotonic() + seconds
        while True:
            found = look()
            if found:
                return found
            assert time.monotonic() < deadline, f"waited {seconds:.0f} s for {what}:\n{self._tail()}"
            with contextlib.suppress(subprocess.TimeoutExpired):
                code = self._process.wait(0.2)  # it tells nobody what it does: all that one can wait for is its end
                raise AssertionError(f"Airflow has ended with {code}:\n{self._tail()}")

    def _is_up(self) -> bool:
        try:
            if not self._token:
                self._token = self.call("GET", "/auth/token")["access_token"]
            health = self.call("GET", "/api/v2/monitor/health")
        except (OSError, urllib.error.URLError, ValueError):
            return False
        return all(health[part]["status"] == "healthy" for part in ("scheduler", "triggerer", "dag_processor"))

    def _knows(self, dag: str) -> bool:
        try:
            return bool(self.call("GET", f"/api/v2/dags/{dag}"))
        except urllib.error.HTTPError:
            errors = self.call("GET", "/api/v2/importErrors")["import_errors"]
            assert not errors, errors[0]["stack_trace"]
            return False

    def _tail(self) -> str:
        return (self.home / "standalone.log").read_text(errors="replace")[-3000:]

    def _signal(self, number: int) -> None:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self._process.pid, number)


def free_port() -> int:
    """A port that nobody listens on now."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port: int = free.getsockname()[1]
        return port
