# SPDX-License-Identifier: Apache-2.0
"""The answers that a drill's requests got, as rows. Pure.

A row has the seconds after the beginning at which a request was due (`offset`), the milliseconds that its answer took,
its kind (encrypt, decrypt; bad or flood: a decryption of bad ciphertext), the status (0: no answer), the name of the
error (`None`: a good answer in time), the request's id, and which attempt it was.
"""

import math

COLUMNS = ("offset", "ms", "kind", "status", "name", "id", "attempt")


def rows_of(answers):
    """The rows of what the load generator returns."""
    return [dict(zip(COLUMNS, row, strict=True)) for row in answers]


def percentile(ordered, share):
    """The value that `share` of the ascending values do not exceed; NaN without values."""
    if not ordered:
        return math.nan
    return ordered[max(0, math.ceil(len(ordered) * share) - 1)]


def failed(rows, kinds=("encrypt", "decrypt")):
    """The rows of a drill's good requests that were not answered well and in time."""
    return [row for row in rows if row["kind"] in kinds and row["name"] is not None]


def is_called_invalid(row):
    return row["name"] == "InvalidCiphertextException" and row["status"] == 400


def is_retryable(row):
    """Whether KMS would ask again: a server's error, too many requests, no answer, or one that comes too late."""
    return row["status"] in (0, 429) or row["status"] >= 500 or (row["name"] or "").endswith(" ms")


def is_final(row):
    """Whether KMS takes the answer for the last word: a client's error."""
    return 400 <= row["status"] < 500 and row["status"] != 429


def names(rows):
    """The names that rows were answered with, the first three."""
    return ", ".join(sorted({row["name"] or str(row["status"]) for row in rows})[:3])


def grouped(rows):
    """Sentences on failed requests: how many of a kind with which answer, when, and one of their ids."""
    groups = {}
    for row in rows:
        groups.setdefault((row["kind"], row["status"], row["name"]), []).append(row)
    sentences = []
    for (kind, status, name), members in sorted(groups.items(), key=lambda group: min(
            row["offset"] for row in group[1])):
        first, last = min(members, key=lambda row: row["offset"]), max(members, key=lambda row: row["offset"])
        slowest = max(row["ms"] for row in members)
        sentences.append(
            f"{len(members)} × {kind}: {status or 'no status'} {name}, due {first['offset']:.3f} to "
            f"{last['offset']:.3f} s, slowest {slowest:.0f} ms, the first with kmsRequestId {first['id']}")
    return sentences
