// SPDX-License-Identifier: Apache-2.0
import ArgumentParser

/// Ends a command with a sentence on standard error and a status for scripts.
func failure(_ message: String, status: ExitCode) -> ExitCode {
    if !LibraryProcess.keeps(complaint: message) { printError("claviger: \(message)") }
    return status
}
