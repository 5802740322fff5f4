"""What Airflow asks of a provider, as plain data; the entry point ``apache_airflow_provider`` names it."""

from __future__ import annotations

from typing import Any

_INTEGRATION = "Ingest"
_PACKAGE = "ingest.pipelines.airflow"


def get_provider_info() -> dict[str, Any]:
    """See Airflow's ``provider_info.schema.json``. Imports nothing, so that Airflow starts as fast as before."""
    return {
        "package-name": "ingest",
        "name": "Ingest",
        "description": "Pipelines of Ingest as tasks: ranges bound to runs, sensors on a hub, assets per commit.",
        "integrations": [{"integration-name": _INTEGRATION, "external-doc-url": "", "tags": ["service"]}],
        "operators": [
            {
                "integration-name": _INTEGRATION,
                "python-modules": [f"{_PACKAGE}.run_operator", f"{_PACKAGE}.compact_operator"],
            }
        ],
        "sensors": [{"integration-name": _INTEGRATION, "python-modules": [f"{_PACKAGE}.sensors"]}],
        "hooks": [{"integration-name": _INTEGRATION, "python-modules": [f"{_PACKAGE}.hook"]}],
        "triggers": [
            {
                "integration-name": _INTEGRATION,
                "python-modules": [f"{_PACKAGE}.condition_trigger", f"{_PACKAGE}.topic_trigger"],
            }
        ],
        "connection-types": [
            {
                "connection-type": "ingest",
                "hook-name": "Ingest",
                "hook-class-name": f"{_PACKAGE}.hook.IngestHook",
                "conn-fields": {
                    "hub": {
                        "label": "Hub",
                        "description": "The hub's data folder, an absolute path on the machine where tasks run.",
                        "schema": {"type": ["string", "null"]},
                    },
                    "variables": {
                        "label": "Variables",
                        "description": "A JSON object of texts: what ${NAME} in pipeline files stands for.",
                        "schema": {"type": ["string", "null"], "format": "password"},
                    },
                },
                "ui-field-behaviour": {
                    "hidden-fields": ["host", "schema", "login", "password", "port", "extra"],
                    "relabeling": {},
                    "placeholders": {"hub": "/var/lib/ingest/shop"},
                },
            }
        ],
    }
