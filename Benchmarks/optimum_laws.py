# SPDX-License-Identifier: Apache-2.0
"""How long calls to an HSM take: as lines for the fault-injecting module, and as numbers for the model. Pure."""

import dataclasses

# The functions that do a request's work.
FUNCTIONS = ("C_Encrypt", "C_Decrypt")


@dataclasses.dataclass(frozen=True)
class Law:
    """A call takes `ms`, always or as the mean of an exponential distribution; a `share` of them takes `tail_ms` more."""

    ms: float
    share: float = 0.0
    tail_ms: float = 0.0
    exponential: bool = False
    # One call at a time, however many sessions there are.
    serial: bool = False

    @property
    def mean(self):
        return self.ms + self.share * self.tail_ms

    def lines(self):
        """What the control file of the module says."""
        found = []
        for function in FUNCTIONS:
            found.append(f"delay {function} {'exp ' if self.exponential else ''}{duration(self.ms)}")
            if self.share:
                found.append(f"delay {function} {duration(self.tail_ms)} share {percent(self.share)}")
            if self.serial:
                found.append(f"serial {function}")
        return tuple(found)

    def draw(self, random):
        """What one call takes, milliseconds."""
        taken = random.expovariate(1 / self.ms) if self.exponential else self.ms
        return taken + self.tail_ms if self.share and random.random() < self.share else taken

    def remaining(self, elapsed):
        """What a call that has taken so long is expected to take yet; rare tails are expected once they are there."""
        if self.exponential:
            return self.ms
        if elapsed < self.ms:
            return self.ms - elapsed
        return max(self.ms + self.tail_ms - elapsed, 0.0)

    def slower(self, ms):
        """The same law with so much more for each call."""
        return dataclasses.replace(self, ms=self.ms + ms)


@dataclasses.dataclass(frozen=True)
class HSM:
    """An HSM as the node is told of it, and as it is."""

    law: Law
    lanes: int = 4
    tier: int = 0
    weight: int = 100
    # Which node it belongs to.
    node: int = 0
    # What else its control file says.
    also: tuple = ()

    @property
    def servers(self):
        """Calls that it works on at a time."""
        return 1 if self.law.serial else self.lanes

    @property
    def capacity(self):
        """Calls a second."""
        return self.servers * 1000 / self.law.mean


def duration(ms):
    """As the control file has it: whole microseconds or milliseconds."""
    return f"{ms:.0f}ms" if ms == int(ms) else f"{ms * 1000:.0f}us"


def percent(share):
    """As the control file has it: up to four decimals."""
    return f"{share * 100:.4f}".rstrip("0").rstrip(".") + "%"
