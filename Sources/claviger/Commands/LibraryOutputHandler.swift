// SPDX-License-Identifier: Apache-2.0
import Logging

/// Shows of a pool's log only what the vendors' libraries print, on standard error: for commands that report the rest
/// themselves.
struct LibraryOutputHandler: LogHandler {
    var metadata: Logger.Metadata = [:]
    var logLevel = Logger.Level.notice

    subscript(metadataKey key: String) -> Logger.Metadata.Value? {
        get { metadata[key] }
        set { metadata[key] = newValue }
    }

    func log(event: LogEvent) {
        guard event.message == "library output", let hsm = event.metadata?["hsm"], let text = event.metadata?["text"]
        else { return }
        printError("hsm \(hsm): its library prints: \(text)")
    }
}
