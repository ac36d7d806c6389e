// SPDX-License-Identifier: Apache-2.0
import AdminClient
import ArgumentParser
import Glibc

/// Ends a command with a sentence on standard error and a status for scripts.
func failure(_ message: String, status: ExitCode) -> ExitCode {
    printError("claviger: \(message)")
    return status
}

/// One line on standard error, or several. What comes from a token, a library or a file may be in it.
func printError(_ line: String) {
    var text = Terminal.shown(line) + "\n"
    text.withUTF8 { bytes in
        var rest = UnsafeRawBufferPointer(bytes)
        while !rest.isEmpty {
            let written = write(2, rest.baseAddress, rest.count)
            guard written > 0 else { return }
            rest = UnsafeRawBufferPointer(rebasing: rest[written...])
        }
    }
}

/// One line on standard output, at once: whoever reads a pipe waits for it.
func printLine(_ line: String) {
    print(line)
    fflush(nil)
}
