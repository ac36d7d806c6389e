# SPDX-License-Identifier: Apache-2.0
"""What the tests of the files for operation share."""
import importlib
import os
import shutil
import subprocess
import sys
import unittest
from pathlib import Path

DEPLOY = Path(__file__).resolve().parent
ROOT = DEPLOY.parent


def tool(name: str) -> str:
    """The path of a program; skips the test, and says so, where there is none."""
    path = shutil.which(name, path=os.environ.get("PATH", "") + ":/usr/sbin:/sbin")
    if path is None:
        raise unittest.SkipTest(f"{name} is not installed")
    return path


def run(*command: str, **options) -> subprocess.CompletedProcess:
    """Runs a program to its end, at most a minute."""
    return subprocess.run(command, capture_output=True, text=True, timeout=60, **options)


def library(name: str):
    """A Python module of Debian's (python3-NAME); skips the test, and says so, where there is none."""
    try:
        return __import__(name)
    except ImportError:
        raise unittest.SkipTest(f"python3-{name} is not installed") from None


#: Where setup.sh puts what Debian does not have.
PYPI = ROOT / ".build" / "python"


def pypi(name: str):
    """A Python module of PyPI's; skips the test, and says so, where there is none."""
    for folder in sorted(PYPI.glob("lib/python3*/site-packages")):
        # Behind what is installed otherwise.
        if str(folder) not in sys.path:
            sys.path.append(str(folder))
    try:
        return importlib.import_module(name)
    except ImportError:
        raise unittest.SkipTest(f"{name} is not installed: make setup fetches it from PyPI") from None


def settings(path: Path) -> dict:
    """A TOML file."""
    try:
        import tomllib
    except ImportError:
        raise unittest.SkipTest("Python is older than 3.11 and reads no TOML") from None
    return tomllib.loads(path.read_text())


def seconds(duration: str) -> int:
    """`"20s"` → 20."""
    return int(duration.removesuffix("s"))
