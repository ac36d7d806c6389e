// SPDX-License-Identifier: Apache-2.0
import NodeConfig
import RequestTraces
import SecureMemory
import TraceExport
import XKSListener
import XKSProtocol
import XKSService

/// Where traces go and which requests are traced, with what the configuration points at.
struct PlannedTracing: Sendable {
    let destination: TraceDestination
    let sampler: TraceSampler

    /// For the service: ids of traces are drawn from the system's generator.
    var requests: RequestTracing { RequestTracing(sampler: sampler) { UInt64.random(in: .min ... .max) } }
}

extension Translation {
    /// Reports what is wrong with `[tracing]`; `nil` where nothing is traced.
    func tracing(_ diagnostics: inout Diagnostics) -> PlannedTracing? {
        guard let settings = diagnostics.settings.tracing else { return nil }
        var destination = TraceDestination(url: "\(settings.endpoint)", showsKeys: settings.showsKeys)
        if let source = settings.headers, let secret = read(source, "tracing.headers", &diagnostics) {
            do throws(HeaderLines.Flaw) {
                destination.headers = try HeaderLines.read(secret)
            } catch {
                diagnostics.report(
                    "tracing.headers", "\(source): line \(error.line) is no header field",
                    fix: "write Name: value, in visible ASCII")
            }
        }
        if let file = settings.authorities {
            do throws(TLSMaterialError) {
                destination.authorities = try TLSMaterial.loadAuthorities(file)
            } catch {
                diagnostics.report("tracing.ca", error.problem, fix: error.mend)
            }
        }
        return PlannedTracing(
            destination: destination, sampler: TraceSampler(ratio: settings.ratio))
    }

    /// Warns where traces can be read on their way.
    func adviseOnTracing(_ diagnostics: inout Diagnostics) {
        guard let endpoint = diagnostics.settings.tracing?.endpoint, !endpoint.isTLS, !endpoint.isLoopback else {
            return
        }
        diagnostics.warn(
            "tracing.endpoint", "traces go to \(endpoint) over plain HTTP", isFatal: false,
            fix: "take https, or a collector on this host")
    }
}

/// Header fields as a secret holds them: one in a line, empty lines between them.
enum HeaderLines {
    /// What stands in a line that is none may be a token: only its number is told.
    struct Flaw: Error, Equatable {
        var line: Int
    }

    /// What the client itself says: `Content-Length` twice would end every message.
    private static let own: Set<String> = [
        "content-length", "transfer-encoding", "content-type", "content-encoding", "host", "connection", "expect",
    ]

    static func read(_ secret: SecretBytes) throws(Flaw) -> [HeaderField] {
        let text = secret.withUnsafeBytes { String(decoding: $0, as: UTF8.self) }
        var fields: [HeaderField] = []
        for (index, line) in text.split(omittingEmptySubsequences: false, whereSeparator: \.isNewline).enumerated()
        where !line.isEmpty {
            guard let colon = line.firstIndex(of: ":") else { throw Flaw(line: index + 1) }
            let name = line[..<colon]
            let value = line[line.index(after: colon)...].drop { $0 == " " }
            guard !name.isEmpty, name.utf8.allSatisfy(isOfToken), !own.contains(name.lowercased()),
                value.utf8.allSatisfy({ (0x20...0x7E).contains($0) })
            else { throw Flaw(line: index + 1) }
            fields.append(HeaderField(name: String(name), value: String(value)))
        }
        return fields
    }

    /// RFC 9110, section 5.6.2, without the characters that no known name has.
    private static func isOfToken(_ byte: UInt8) -> Bool {
        switch byte {
        case 0x30...0x39, 0x41...0x5A, 0x61...0x7A, UInt8(ascii: "-"), UInt8(ascii: "_"): true
        default: false
        }
    }
}
