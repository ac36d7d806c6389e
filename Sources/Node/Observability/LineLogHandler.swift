// SPDX-License-Identifier: Apache-2.0
import Logging

/// A swift-log handler that writes one line per event into a `LogSink`.
///
/// Metadata becomes fields beside `timestamp`, `level`, `message`, `nodeID` and (in JSON) `logger`; what is nested gets dotted names
/// (`a.b`, `a.0`). Where several say the same name, the event wins over the logger, and the logger over its provider.
package struct LineLogHandler: LogHandler {
    /// This logger's own, where it has been set; else that of the node.
    package var logLevel: Logger.Level {
        get { ownLevel ?? level.current }
        set { ownLevel = newValue }
    }
    package var metadata: Logger.Metadata = [:]
    package var metadataProvider: Logger.MetadataProvider?
    private let label: String
    private let sink: LogSink
    private let style: LogStyle
    private let level: LogLevel
    private let repeated: RepeatedLines?
    private var ownLevel: Logger.Level?

    /// - Parameters:
    ///   - style: how the lines look; it may change at any time.
    ///   - level: below it nothing is logged; likewise.
    ///   - repeated: which warnings and errors have a line that are the same again and again; `nil`: all.
    package init(
        label: String, sink: LogSink, style: LogStyle = LogStyle(), level: LogLevel = LogLevel(.info),
        repeated: RepeatedLines? = nil
    ) {
        self.repeated = repeated
        self.label = label
        self.sink = sink
        self.style = style
        self.level = level
    }

    package subscript(metadataKey key: String) -> Logger.Metadata.Value? {
        get { metadata[key] }
        set { metadata[key] = newValue }
    }

    package func log(event: LogEvent) {
        var times = 1
        if let repeated, event.level >= .warning, !RequestLog.isRequest(event.metadata) {
            guard let count = repeated.happened(event) else { return }
            times = count
        }
        let format = style.format
        var line = LogLine(
            level: event.level, message: event.message.description, time: .now, format: format, node: style.node)
        let room: LogRoom
        if let trace = RequestLog.trace(in: event.metadata) {
            trace.add(to: &line)
            room = trace.accessKeyID == nil ? .refused : .authenticated
        } else {
            room = LogRoom(event.level)
            // A node has one logger: for people its name says nothing.
            if format == .json { line.add("logger", label) }
            addMetadata(event.metadata, to: &line)
            if let error = event.error { line.add("error", "\(error)") }
            if times > 1 { line.add("repeated", times) }
        }
        line.finish { sink.append($0, in: room) }
    }

    private func addMetadata(_ eventMetadata: Logger.Metadata?, to line: inout LogLine) {
        var merged = metadataProvider?.get() ?? [:]
        merged.merge(metadata) { $1 }
        if let eventMetadata { merged.merge(eventMetadata) { $1 } }
        for (key, value) in merged.sorted(by: { $0.key < $1.key }) {
            // The fields that every line begins with cannot be said twice (RFC 8259, 4).
            add(value, named: Self.reserved.contains(key) ? key + "_" : key, to: &line, depth: 0)
        }
    }

    private static let reserved: Set<String> = [
        "timestamp", "level", "message", "nodeID", "logger", "error", "repeated",
    ]

    private func add(_ value: Logger.Metadata.Value, named name: String, to line: inout LogLine, depth: Int) {
        switch value {
        case .string(let text): line.add(key: name, text)
        case .stringConvertible(let value): line.add(key: name, value.description)
        case .dictionary(let dictionary) where depth < 8:
            for (key, value) in dictionary.sorted(by: { $0.key < $1.key }) {
                add(value, named: "\(name).\(key)", to: &line, depth: depth + 1)
            }
        case .array(let values) where depth < 8:
            for (index, value) in values.enumerated() {
                add(value, named: "\(name).\(index)", to: &line, depth: depth + 1)
            }
        case .dictionary, .array: line.add(key: name, "…")
        }
    }
}
