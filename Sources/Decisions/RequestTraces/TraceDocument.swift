// SPDX-License-Identifier: Apache-2.0
import QuotedText
import XKSProtocol

/// Requests as OTLP/HTTP takes them in its JSON encoding (OpenTelemetry Protocol 1.x, "JSON Protobuf Encoding": ids are
/// hexadecimal, 64-bit numbers are strings, enumerations are numbers, names are in lowerCamelCase). Pure.
package struct TraceDocument: Sendable {
    /// Whose spans they are.
    package struct Resource: Sendable, Equatable {
        package var node: String
        package var site: String
        package var version: String

        package init(node: String, site: String, version: String) {
            self.node = node
            self.site = site
            self.version = version
        }
    }

    // Span.SpanKind and Status.StatusCode of opentelemetry/proto/trace/v1/trace.proto.
    private static let serverKind = 2
    private static let clientKind = 3
    private static let errorStatus = 2

    private let resource: Resource
    /// What is to be added to the monotonic clock to have Unix time, nanoseconds; wraps around.
    private let epoch: UInt64
    private let showsKeys: Bool
    private var spans: [String] = []

    /// - Parameters:
    ///   - epoch: Unix time minus the monotonic clock, nanoseconds, modulo 2^64.
    ///   - showsKeys: whether external key ids are named, and reasons, which may name keys.
    package init(_ resource: Resource, epoch: UInt64, showsKeys: Bool) {
        self.resource = resource
        self.epoch = epoch
        self.showsKeys = showsKeys
    }

    package var spanCount: Int { spans.count }

    /// Adds a request and what was asked for it; nothing where it was not recorded.
    package mutating func add(_ trace: RequestTrace) {
        guard let recording = trace.recording else { return }
        let context = recording.context
        spans.append(
            span(
                trace.operation.map { "XKS \($0.rawValue)" } ?? "XKS request", Self.serverKind, context,
                id: context.spanID, parent: recording.parentID, from: trace.receivedAt,
                to: trace.receivedAt &+ trace.totalMicroseconds &* 1_000, attributes: attributes(of: trace),
                error: error(of: trace)))
        for call in recording.calls {
            let (name, target) = Self.names(of: call.purpose)
            spans.append(
                span(
                    name, Self.clientKind, context, id: call.spanID, parent: context.spanID, from: call.startedAt,
                    to: call.endedAt,
                    attributes: Self.texts([(target, call.target), ("claviger.outcome", call.outcome)]),
                    error: call.hasFailed ? call.outcome : nil))
        }
    }

    /// The body of one message to the collector.
    package var text: String {
        let attributes = Self.texts([
            ("service.name", "claviger"), ("service.version", resource.version),
            ("service.instance.id", resource.node), ("claviger.node", resource.node),
            ("claviger.site", resource.site),
        ])
        return #"{"resourceSpans":[{"resource":{"attributes":[\#(attributes.joined(separator: ","))]},"#
            + #""scopeSpans":[{"scope":{"name":"claviger","version":\#(resource.version.quoted)},"#
            + #""spans":[\#(spans.joined(separator: ","))]}]}]}"#
    }

    private func span(
        _ name: String, _ kind: Int, _ context: TraceContext, id: UInt64, parent: UInt64?, from start: UInt64,
        to end: UInt64, attributes: [String], error: String?
    ) -> String {
        let parent = parent.map { #""parentSpanId":"\#(TraceContext.hex($0))","# } ?? ""
        let status = error.map { #","status":{"code":\#(Self.errorStatus),"message":\#($0.quoted)}"# } ?? ""
        return #"{"traceId":"\#(context.traceID)","spanId":"\#(TraceContext.hex(id))",\#(parent)"#
            + #""name":\#(name.quoted),"kind":\#(kind),"startTimeUnixNano":"\#(start &+ epoch)","#
            + #""endTimeUnixNano":"\#(max(end, start) &+ epoch)","attributes":[\#(attributes.joined(separator: ","))]"#
            + "\(status)}"
    }

    // MARK: What is said of a request

    /// What is known of it; nothing secret is.
    private func attributes(of trace: RequestTrace) -> [String] {
        let texts = Self.texts([
            ("kmsRequestId", trace.metadata?.kmsRequestId), ("claviger.kms_operation", trace.metadata?.kmsOperation),
            ("claviger.kms_region", trace.region), ("claviger.keystore", trace.keyStore),
            ("claviger.key", showsKeys ? trace.externalKeyID : nil),
            ("claviger.outcome", trace.isUndelivered ? "undelivered" : trace.error?.rawValue ?? "ok"),
            ("claviger.hsm", trace.hsm), ("claviger.forwarded_to", trace.forwardedTo),
            ("claviger.forwarded_by", trace.forwardedBy),
        ])
        let numbers: [(String, UInt64)] = [
            ("http.response.status_code", UInt64(clamping: trace.status)),
            ("claviger.attempts", UInt64(clamping: trace.attempts)),
            ("claviger.failovers", UInt64(clamping: trace.failovers)),
            ("claviger.waited_us", trace.waitedMicroseconds), ("claviger.hsm_us", trace.hsmMicroseconds),
            ("claviger.passed_on_us", trace.passedOnMicroseconds),
        ]
        return texts + numbers.map { #"{"key":"\#($0)","value":{"intValue":"\#($1)"}}"# } + [
            #"{"key":"claviger.hedged","value":{"boolValue":\#(trace.isHedged)}}"#
        ]
    }

    private func error(of trace: RequestTrace) -> String? {
        guard let error = trace.error?.rawValue ?? (trace.isUndelivered ? "undelivered" : nil) else { return nil }
        return showsKeys ? trace.reason.map { "\(error): \($0)" } ?? error : error
    }

    /// Of a call's span, and of the attribute that says who was asked.
    private static func names(of purpose: RequestRecording.Call.Purpose) -> (span: String, target: String) {
        switch purpose {
        case .encrypt: ("HSM encrypt", "claviger.hsm")
        case .decrypt: ("HSM decrypt", "claviger.hsm")
        case .check: ("HSM check", "claviger.hsm")
        case .forward: ("forward", "claviger.peer")
        }
    }

    // MARK: JSON

    private static func texts(_ fields: [(String, String?)]) -> [String] {
        fields.compactMap { key, value in
            value.map { #"{"key":"\#(key)","value":{"stringValue":\#($0.quoted)}}"# }
        }
    }
}
