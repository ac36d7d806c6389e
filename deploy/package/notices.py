#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Writes debian/copyright: Claviger's licence, and those of all that is linked into the program, with their notices.

usage: notices.py --checkouts DIRECTORY --resolved FILE --output FILE
"""
import argparse
from pathlib import Path

import resolved

HEAD = """Format: https://www.debian.org/doc/packaging-manuals/copyright-format/1.0/
Upstream-Name: Claviger
Comment: The program is linked statically with the Swift packages named below, and with the runtime of Swift. The names of
 the paragraphs' files are those packages; their sources are not in this package. claviger.spdx.json beside this file has
 each with its revision.

Files: *
Copyright: the Claviger authors
License: Apache-2.0
"""

RUNTIME = """Files: swift-runtime/*
Copyright: Apple Inc. and the Swift project authors
License: Apache-2.0 with Swift exception
Comment: Standard library, concurrency, dispatch and Foundation, of Swift {swift}. Foundation has parts of ICU in it, under
 the Unicode License V3 (https://www.unicode.org/license.txt), Copyright Unicode, Inc.
"""

APACHE = """License: Apache-2.0
 On Debian systems the text of the Apache License, Version 2.0, is in /usr/share/common-licenses/Apache-2.0.

License: Apache-2.0 with Swift exception
 The Apache License, Version 2.0, which on Debian systems is in /usr/share/common-licenses/Apache-2.0, with this exception:
 .
 As an exception, if you use this Software to compile your source code and portions of this Software are embedded into the
 binary product as a result, you may redistribute such product without providing attribution as would otherwise be
 required by Sections 4(a), 4(b) and 4(d) of the License.
"""

MIT = """License: MIT
 Permission is hereby granted, free of charge, to any person obtaining a copy of this software and associated
 documentation files (the "Software"), to deal in the Software without restriction, including without limitation the
 rights to use, copy, modify, merge, publish, distribute, sublicense, and/or sell copies of the Software, and to permit
 persons to whom the Software is furnished to do so, subject to the following conditions:
 .
 The above copyright notice and this permission notice shall be included in all copies or substantial portions of the
 Software.
 .
 THE SOFTWARE IS PROVIDED "AS IS", WITHOUT WARRANTY OF ANY KIND, EXPRESS OR IMPLIED, INCLUDING BUT NOT LIMITED TO THE
 WARRANTIES OF MERCHANTABILITY, FITNESS FOR A PARTICULAR PURPOSE AND NONINFRINGEMENT. IN NO EVENT SHALL THE AUTHORS OR
 COPYRIGHT HOLDERS BE LIABLE FOR ANY CLAIM, DAMAGES OR OTHER LIABILITY, WHETHER IN AN ACTION OF CONTRACT, TORT OR
 OTHERWISE, ARISING FROM, OUT OF OR IN CONNECTION WITH THE SOFTWARE OR THE USE OR OTHER DEALINGS IN THE SOFTWARE.
"""

BSD = """License: BSD-3-Clause
 Redistribution and use in source and binary forms, with or without modification, are permitted provided that the
 following conditions are met:
 1. Redistributions of source code must retain the above copyright notice, this list of conditions and the following
 disclaimer.
 2. Redistributions in binary form must reproduce the above copyright notice, this list of conditions and the following
 disclaimer in the documentation and/or other materials provided with the distribution.
 3. Neither the name of the project nor the names of its contributors may be used to endorse or promote products derived
 from this software without specific prior written permission.
 .
 THIS SOFTWARE IS PROVIDED BY THE PROJECT AND CONTRIBUTORS ``AS IS'' AND ANY EXPRESS OR IMPLIED WARRANTIES, INCLUDING, BUT
 NOT LIMITED TO, THE IMPLIED WARRANTIES OF MERCHANTABILITY AND FITNESS FOR A PARTICULAR PURPOSE ARE DISCLAIMED. IN NO EVENT
 SHALL THE PROJECT OR CONTRIBUTORS BE LIABLE FOR ANY DIRECT, INDIRECT, INCIDENTAL, SPECIAL, EXEMPLARY, OR CONSEQUENTIAL
 DAMAGES (INCLUDING, BUT NOT LIMITED TO, PROCUREMENT OF SUBSTITUTE GOODS OR SERVICES; LOSS OF USE, DATA, OR PROFITS; OR
 BUSINESS INTERRUPTION) HOWEVER CAUSED AND ON ANY THEORY OF LIABILITY, WHETHER IN CONTRACT, STRICT LIABILITY, OR TORT
 (INCLUDING NEGLIGENCE OR OTHERWISE) ARISING IN ANY WAY OUT OF THE USE OF THIS SOFTWARE, EVEN IF ADVISED OF THE
 POSSIBILITY OF SUCH DAMAGE.
"""

ZLIB = """License: Zlib
 This software is provided 'as-is', without any express or implied warranty. In no event will the authors be held liable
 for any damages arising from the use of this software.
 .
 Permission is granted to anyone to use this software for any purpose, including commercial applications, and to alter it
 and redistribute it freely, subject to the following restrictions:
 .
 1. The origin of this software must not be misrepresented; you must not claim that you wrote the original software. If you
 use this software in a product, an acknowledgment in the product documentation would be appreciated but is not required.
 2. Altered source versions must be plainly marked as such, and must not be misrepresented as being the original software.
 3. This notice may not be removed or altered from any source distribution.

License: CC0-1.0
 On Debian systems the text of CC0 1.0 Universal is in /usr/share/common-licenses/CC0-1.0.
"""

NAMES = {"Apache-2.0 WITH Swift-exception": "Apache-2.0 with Swift exception"}


def folded(text: str) -> str:
    """The text of a field that goes on over lines."""
    return "\n".join(f" {line.rstrip()}" if line.strip() else " ." for line in text.strip().splitlines())


def paragraphs(package: resolved.Package) -> list[str]:
    owners = "\n           ".join(package.copyrights)
    told = f"Files: {package.name}/*\nCopyright: {owners}\nLicense: {NAMES.get(package.licence, package.licence)}\n"
    if package.licence.startswith("Apache-2.0") and package.texts:
        # Section 4(d) of the licence: the notice goes with the program.
        told += "Comment: its notice:\n" + folded("\n\n".join(package.texts)) + "\n"
    made = [told]
    for part, version in package.embedded:
        files = f"{package.name}/{part.path}" + ("" if "." in part.path.rsplit("/", 1)[-1] else "/*")
        made.append(
            f"Files: {files}\nCopyright: {part.copyright}\nLicense: {part.licence}\nComment: {part.name} {version}\n")
    return made


def text(packages: list[resolved.Package], swift: str) -> str:
    parts = [HEAD, RUNTIME.format(swift=swift)]
    for package in packages:
        parts += paragraphs(package)
    return "\n".join([*parts, APACHE, MIT, BSD, ZLIB])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--checkouts", required=True, type=Path)
    parser.add_argument("--resolved", required=True, type=Path)
    parser.add_argument("--output", required=True, type=Path)
    arguments = parser.parse_args()
    arguments.output.write_text(text(resolved.packages(arguments.resolved, arguments.checkouts), resolved.compiler()))


if __name__ == "__main__":
    main()
