"""What a benchmark leaves behind: a table to read, and JSON that says on which machine."""

import json
import os
import platform
import re
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

RESULTS = Path(__file__).parent / "results"


def cores() -> int:
    """Cores that this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def processor() -> str:
    """The CPU's name, as well as the system tells it."""
    cpuinfo = Path("/proc/cpuinfo")
    found = re.search(r"model name\s*:\s*(.+)", cpuinfo.read_text()) if cpuinfo.exists() else None
    return found[1] if found else platform.processor() or platform.machine()


def keep(name: str, result: Mapping[str, Any]) -> Path:
    """Write `results/<name>.json`, with the machine and the day."""
    RESULTS.mkdir(exist_ok=True)
    machine = {"cores": cores(), "processor": processor(), "python": platform.python_version()}
    stamped = {
        "date": datetime.now(UTC).date().isoformat(),
        "machine": machine,
        **result,
    }
    path = RESULTS / f"{name}.json"
    path.write_text(json.dumps(stamped, indent=2) + "\n")
    return path


def table(title: str, rows: Mapping[str, str]) -> str:
    """Lines of a name and a value each, aligned."""
    wide = max(map(len, rows))
    return "\n".join([title, *(f"  {name:<{wide}}  {value}" for name, value in rows.items())])
