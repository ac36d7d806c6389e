# SPDX-License-Identifier: Apache-2.0
"""Tells apart the slices in which the hypervisor gave this machine's processors to others.

What is measured then is the neighbours: on one host, slices with more than 2 % stolen time carried a tenth to a quarter
less than those with hardly any. On a machine of its own nothing is stolen, and every slice counts.
"""

import os

# More of the processors' time than this, and a slice counts as disturbed.
MOST_STOLEN = 0.005


def ticks(text):
    """Ticks of all processors since boot, by what they went to: from the text of /proc/stat, proc(5)."""
    fields = text.split("\n", 1)[0].split()
    if len(fields) < 9 or fields[0] != "cpu":
        raise ValueError(f"/proc/stat begins with {fields[:9]}, not with cpu and eight numbers")
    # user, nice, system, idle, iowait, irq, softirq, steal; what follows is in the first two already.
    return [int(field) for field in fields[1:9]]


def parse(text):
    """Ticks that were stolen, and all ticks, of all processors since boot."""
    found = ticks(text)
    return found[7], sum(found)


def text_of_stat():
    with open("/proc/stat", encoding="ascii") as file:
        return file.read()


def read():
    return parse(text_of_stat())


def busy_seconds(text=None):
    """Time that all processors have worked since boot, for anybody on this machine."""
    user, nice, system, _, _, irq, softirq, _ = ticks(text_of_stat() if text is None else text)
    return (user + nice + system + irq + softirq) / os.sysconf("SC_CLK_TCK")


def stolen_seconds():
    """Time that was stolen from all processors since boot."""
    return read()[0] / os.sysconf("SC_CLK_TCK")


def share(before, after):
    """The share of the time between two readings that was stolen, 0 … 1."""
    return (after[0] - before[0]) / max(after[1] - before[1], 1)


def watched(measure):
    """What a measurement returns, and with it the share of the time that was `stolen` meanwhile."""
    before = read()
    result = measure()
    return result | {"stolen": share(before, read())}


def undisturbed(slices):
    return [result for result in slices if result["stolen"] <= MOST_STOLEN]


def counted(slices):
    """The slices that medians are of: those undisturbed, or all where there is none."""
    return undisturbed(slices) or slices
