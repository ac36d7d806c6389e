# SPDX-License-Identifier: Apache-2.0
"""The attacks: who does what, and what the node is given for it."""

import dataclasses

import attackers


@dataclasses.dataclass(frozen=True)
class Attack:
    """One row of the table. Each element of `work` is a process: a function of `attackers`, and its arguments."""

    name: str
    title: str
    work: tuple = ()
    # Descriptors that the node's processes may have each; `None`: as many as here.
    descriptors: int = None
    # What the library of the first HSM does besides (`rogue-pkcs11.c`).
    library: str = None
    # Bytes a second at which the node's log is read; `None`: as they come.
    log_rate: int = None
    # Whether a worker is killed in the middle.
    kills: bool = False
    # Whether somebody has the certificate of another node, which is refused in the middle.
    thief: bool = False


def by(function, **arguments):
    return function, arguments


ATTACKS = (
    Attack("nothing", "nobody attacks"),
    Attack("h2-streams", "1,000 HTTP/2 connections, on each 100 requests that never end",
           (by(attackers.streams, count=1_000, each=100),)),
    Attack("h2-headers", "300 HTTP/2 connections whose header block never ends", (by(attackers.headers, count=300),)),
    Attack("silent-xks", "4,300 silent connections to the XKS listener, renewed, from 20 addresses",
           (by(attackers.silent, listener="xks", count=4_300),)),
    Attack("silent-one", "1,500 silent connections to the XKS listener, renewed, from one address",
           (by(attackers.silent, listener="xks", count=1_500, one_address=True),)),
    Attack("slow-xks", "1,000 connections to the XKS listener that send a byte of a request's head each second",
           (by(attackers.slow, listener="xks", count=1_000),)),
    Attack("control", "120 silent connections to the control listener, and 60 slow ones",
           (by(attackers.silent, listener="control", count=120),
            by(attackers.slow, listener="control", count=60, tls=False))),
    Attack("cluster", "1,500 silent connections to the cluster listener, and 500 slow ones",
           (by(attackers.silent, listener="cluster", count=1_500),
            by(attackers.slow, listener="cluster", count=500, tls=False))),
    Attack("admin", "100 silent connections to the admin socket, and 30 slow ones",
           (by(attackers.silent, listener="admin", count=100),
            by(attackers.slow, listener="admin", count=30, tls=False))),
    Attack("refused", "a flood of refused requests on 4 connections, while the log is read at 1 MB/s",
           (by(attackers.refused, connections=4),), log_rate=1_000_000),
    Attack("bad-tls", "some 300 connections a second that are no TLS, or end within the handshake",
           (by(attackers.bad_tls),)),
    Attack("descriptors", "1,010 silent connections to a node with 1,024 descriptors, and a worker that is killed",
           (by(attackers.silent, listener="xks", count=1_010),), descriptors=1_024, kills=True),
    Attack("few-descriptors", "the same with 256 descriptors",
           (by(attackers.silent, listener="xks", count=1_010),), descriptors=256, kills=True),
    Attack("lib-prints", "a library that prints, in quotes and braces", library="print"),
    Attack("lib-forks", "a library that forks helpers, which hold its descriptors; then its worker is killed",
           library="fork", kills=True),
    Attack("lib-exits", "a library that calls exit(0) at every 51st encryption", library="exit"),
    Attack("lib-admin", "a library that gives orders at the admin socket", library="admin"),
    Attack("lib-files", "a library that reads the node's files, signals and traces the node", library="files"),
    Attack("thief", "somebody with another node's certificate, which is refused in the middle", thief=True),
)
