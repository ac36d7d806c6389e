# SPDX-License-Identifier: Apache-2.0
"""What the commands with requirements share: a directory to work in, an end in good order, a judgement."""

import contextlib
import os
import shutil
import sys
import tempfile


def require(name, *tools):
    """Ends the program when one of the tools is not installed, and says what installs it."""
    for tool in tools:
        if not shutil.which(tool):
            sys.exit(f"{name}: {tool} is not installed; run `make setup`")


def judged(name, arguments, run):
    """Calls `run(arguments, directory, stack)`, and ends the program with status 1 when it returns missed requirements.

    The directory is a temporary one, or with `--keep` a new one that stays. What `run` leaves on the stack is undone.
    """
    with contextlib.ExitStack() as stack:
        if arguments.keep:
            directory = os.path.abspath(arguments.keep)
            os.makedirs(directory, mode=0o700)
        else:
            directory = stack.enter_context(tempfile.TemporaryDirectory(prefix=f"claviger-{name}-"))
        try:
            missed = run(arguments, directory, stack)
        except (RuntimeError, OSError) as error:
            sys.exit(f"{name}: {error}")
        except KeyboardInterrupt:
            sys.exit(f"{name}: interrupted")
    if missed:
        print("\nRequirements missed:")
        for text in missed:
            print(f"  {text}")
        sys.exit(1)
