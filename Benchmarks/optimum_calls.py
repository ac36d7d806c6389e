# SPDX-License-Identifier: Apache-2.0
"""Calls to HSMs: how many there were, and what one takes by itself."""

import json
import os
import struct
import subprocess

import optimum_laws
import serving

# A row of the module's counts: token, function, calls.
COUNT = struct.Struct("32s32sQ")


def counted(file):
    """The calls of HSM functions that do a request's work, from the fault-injecting module's counts."""
    with open(file, "rb") as source:
        rows = COUNT.iter_unpack(source.read())
        return sum(calls for _, name, calls in rows if name.rstrip(b"\0").decode() in optimum_laws.FUNCTIONS)


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
