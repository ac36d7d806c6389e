# SPDX-License-Identifier: Apache-2.0
"""Calls to HSMs: how many there were, and what one takes by itself."""

import dataclasses
import json
import os
import struct
import subprocess

import optimum_laws
import serving

# A row of the module's counts: token, function, calls, nanoseconds.
COUNT = struct.Struct("32s32sQQ")
# Of fewer calls the mean time says little.
FEWEST = 100


@dataclasses.dataclass(frozen=True)
class Count:
    """Calls that do a request's work, the milliseconds that they took, and those that beginning them took."""

    calls: int = 0
    ms: float = 0.0
    init_ms: float = 0.0

    def since(self, before):
        return Count(self.calls - before.calls, self.ms - before.ms, self.init_ms - before.init_ms)


def counted(file):
    """What the fault-injecting module has counted in a file."""
    calls = ms = init_ms = 0
    with open(file, "rb") as source:
        for _, name, number, nanoseconds in COUNT.iter_unpack(source.read()):
            function = name.rstrip(b"\0").decode()
            if function in optimum_laws.FUNCTIONS:
                calls, ms = calls + number, ms + nanoseconds / 1e6
            elif function.removesuffix("Init") in optimum_laws.FUNCTIONS:
                init_ms += nanoseconds / 1e6
    return Count(calls, ms, init_ms)


def overheads(line, counts, usual):
    """What calls to each HSM of a line took besides what its law says, milliseconds: `counts` are those of the line.
    Where the law is random or changes, or nodes stood still, it is taken to be what is `usual`."""
    changed = {number for _, number, _ in line.steps}
    found = []
    for number, (hsm, count) in enumerate(zip(line.hsms, counts, strict=True)):
        law = hsm.law
        if law.share or law.exponential or number in changed or line.freezes or count.calls < FEWEST:
            found.append(usual)
            continue
        # A serial HSM begins calls side by side.
        spent = count.ms if law.serial else count.ms + count.init_ms
        found.append(max(spent / count.calls - law.ms, 0.0))
    return found


def overhead(module, hsm, directory):
    """What a call to an HSM takes besides the module's delay, milliseconds: the least of some means. `directory` is one to
    work in."""
    control = os.path.join(directory, "overhead")
    with open(control, "w", encoding="ascii") as file:
        file.write("[*]\ndelay C_Encrypt 1ms\n")
    program = os.path.join(directory, "bare-pkcs11")
    subprocess.run(["cc", "-O2", "-o", program, os.path.join(serving.HERE, "bare-pkcs11.c"), "-ldl"], check=True)
    environment = os.environ | hsm["env"] | {"FAULTY_PKCS11_MODULE": hsm["module"], "FAULTY_PKCS11_CONTROL": control}
    words = [program, module, hsm["token"]["label"], hsm["pin"]["file"], "foo", "32", "100"]
    times = [
        json.loads(subprocess.run(words, env=environment, check=True, capture_output=True, text=True).stdout)["wall"]
        for _ in range(3)]
    return max(min(times) / 1000 - 1, 0.0)
