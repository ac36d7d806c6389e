// SPDX-License-Identifier: Apache-2.0
import AdminProtocol

/// What is asked of the admin socket, as values.
enum AdminRequest: Equatable {
    case status
    case requests
    case metrics
    case cluster
    case drain(hsm: String)
    /// For a time, 1 to 300 seconds; `isProlonged`: one that is drained for a time already.
    case drainFor(hsm: String, seconds: Int, isProlonged: Bool)
    case undrain(hsm: String)
    case trust(key: String, hsm: String)
    case forget(key: String)
    case forgetNode(String, user: String)
    case block(BlockOrder)
    case outlook(BlockOrder)
    case lift(LiftOrder)
    case blocks
    case progress(order: UInt64)
    case bootstrap(BootstrapOrder)
    case reload(isForced: Bool)
    case logLevel(String)
    case logTail
    /// Of the node of this name, or of all.
    case auditHeads(of: String?)
    case drainNode
    case diagnosis

    /// Why a request is none of these.
    enum Refusal: Error, Equatable {
        case noSuchPath
        case methodNotAllowed(allowed: String)
        case malformed(String)
    }

    /// Longest name in a path or query, bytes once decoded: the longest label that the configuration takes.
    static let longestName = 255
    /// For how long an HSM may be drained for a time, at a time; Routing's `TimedDrains.seconds`.
    static let drainSeconds = 1...300
    /// Longest body, bytes.
    static let longestBody = 64 * 1024

    /// - Parameters:
    ///   - path: percent-encoded, as it came.
    ///   - query: without its question mark, percent-encoded; `nil` or empty when there is none.
    ///   - body: looked at where the request takes one.
    static func parse(
        method: String, path: String, query: String?, body: [UInt8]
    ) throws(Refusal) -> AdminRequest {
        let segments = path.split(separator: "/", omittingEmptySubsequences: false).dropFirst().map { $0 }
        switch segments.count {
        case 1: return try parse(method, segments[0], body: body)
        case 2 where segments[0] == "blocks" && segments[1] == "lift":
            guard method == "POST" else { throw .methodNotAllowed(allowed: "POST") }
            return .lift(try OrderBody.lift(body))
        case 2 where segments[0] == "blocks" && segments[1] == "outlook":
            guard method == "POST" else { throw .methodNotAllowed(allowed: "POST") }
            return .outlook(try OrderBody.block(body))
        case 2 where segments[0] == "cluster" && segments[1] == "bootstrap":
            guard method == "POST" else { throw .methodNotAllowed(allowed: "POST") }
            return .bootstrap(try OrderBody.bootstrap(body))
        case 2 where segments[0] == "reload" && segments[1] == "force":
            guard method == "POST" else { throw .methodNotAllowed(allowed: "POST") }
            return .reload(isForced: true)
        case 2 where segments[0] == "audit" && segments[1] == "heads":
            guard method == "GET" || method == "HEAD" else { throw .methodNotAllowed(allowed: "GET, HEAD") }
            guard let query, !query.isEmpty else { return .auditHeads(of: nil) }
            return .auditHeads(of: try only("node", of: query, "NAME"))
        case 2 where segments[0] == "log" && segments[1] == "tail":
            guard method == "GET" || method == "HEAD" else { throw .methodNotAllowed(allowed: "GET, HEAD") }
            return .logTail
        case 3: return try parse(method, segments, query: query ?? "")
        default: throw .noSuchPath
        }
    }

    /// Paths of one segment.
    private static func parse(_ method: String, _ segment: Substring, body: [UInt8]) throws(Refusal) -> AdminRequest {
        let isGet = method == "GET" || method == "HEAD"
        switch segment {
        case "status", "cluster", "requests", "metrics":
            guard isGet else { throw .methodNotAllowed(allowed: "GET, HEAD") }
            let all: [Substring: AdminRequest] = [
                "status": .status, "cluster": .cluster, "requests": .requests, "metrics": .metrics,
            ]
            return all[segment] ?? .status
        case "blocks":
            if isGet { return .blocks }
            guard method == "POST" else { throw .methodNotAllowed(allowed: "GET, HEAD, POST") }
            return .block(try OrderBody.block(body))
        case "reload", "drain", "diagnosis":
            guard method == "POST" else { throw .methodNotAllowed(allowed: "POST") }
            return segment == "reload" ? .reload(isForced: false) : segment == "drain" ? .drainNode : .diagnosis
        default: throw .noSuchPath
        }
    }

    /// Paths of three segments.
    private static func parse(
        _ method: String, _ segments: [Substring], query: String
    ) throws(Refusal) -> AdminRequest {
        switch segments[0] {
        case "hsm" where segments[2] == "drain" || segments[2] == "undrain":
            guard method == "POST" else { throw .methodNotAllowed(allowed: "POST") }
            let hsm = try name(segments[1], of: "HSM")
            return segments[2] == "drain" ? .drain(hsm: hsm) : .undrain(hsm: hsm)
        case "hsm" where segments[2] == "drain-for":
            guard method == "POST" else { throw .methodNotAllowed(allowed: "POST") }
            return try drainFor(try name(segments[1], of: "HSM"), query)
        case "key" where segments[2] == "trust":
            guard method == "POST" else { throw .methodNotAllowed(allowed: "POST") }
            return .trust(key: try name(segments[1], of: "key"), hsm: try only("hsm", of: query, "NAME"))
        case "key" where segments[2] == "forget":
            guard method == "POST" else { throw .methodNotAllowed(allowed: "POST") }
            return .forget(key: try name(segments[1], of: "key"))
        case "log" where segments[1] == "level":
            guard method == "POST" else { throw .methodNotAllowed(allowed: "POST") }
            return .logLevel(try name(segments[2], of: "level"))
        case "cluster" where segments[2] == "forget":
            guard method == "POST" else { throw .methodNotAllowed(allowed: "POST") }
            let user = try only("user", of: query, "NAME")
            guard user.utf8.count <= OrderBody.longestUser else {
                throw .malformed("user is longer than \(OrderBody.longestUser) bytes")
            }
            return .forgetNode(try name(segments[1], of: "node"), user: user)
        case "blocks" where segments[1] == "orders":
            guard method == "GET" || method == "HEAD" else { throw .methodNotAllowed(allowed: "GET, HEAD") }
            return .progress(order: try number(segments[2]))
        default:
            throw .noSuchPath
        }
    }

    private static func only(_ key: String, of query: String, _ value: String) throws(Refusal) -> String {
        let fields = query.split(separator: "&", omittingEmptySubsequences: true)
        guard fields.count == 1, let field = fields.first, field.hasPrefix("\(key)=") else {
            throw .malformed("the query must be \(key)=\(value), and nothing else")
        }
        return try name(field.dropFirst(key.utf8.count + 1), of: key == "hsm" ? "HSM" : key)
    }

    private static func drainFor(_ hsm: String, _ query: String) throws(Refusal) -> AdminRequest {
        let words = query.split(separator: "=", omittingEmptySubsequences: false)
        guard words.count == 2, words[0] == "seconds" || words[0] == "prolong", let seconds = Int(words[1]),
            words[1].utf8.allSatisfy({ (0x30...0x39).contains($0) }), drainSeconds.contains(seconds)
        else {
            throw .malformed(
                "the query must be seconds=NUMBER, or prolong=NUMBER where it is drained for a time already: "
                    + "\(drainSeconds.lowerBound) to \(drainSeconds.upperBound) seconds")
        }
        return .drainFor(hsm: hsm, seconds: seconds, isProlonged: words[0] == "prolong")
    }

    private static func number(_ text: Substring) throws(Refusal) -> UInt64 {
        guard text.utf8.allSatisfy({ (0x30...0x39).contains($0) }), let number = UInt64(text) else {
            throw .malformed("the number of an order is a whole number, as the answer to the order tells it")
        }
        return number
    }

    private static func name(_ text: Substring, of thing: String) throws(Refusal) -> String {
        guard let name = decoded(text), (1...longestName).contains(name.utf8.count), !name.utf8.contains(0) else {
            throw .malformed("the name of the \(thing) must be 1 to \(longestName) bytes of UTF-8, percent-encoded")
        }
        return name
    }

    /// Percent-decodes (RFC 3986, 2.1); `nil` for half an escape, and for what is no UTF-8.
    private static func decoded(_ text: Substring) -> String? {
        var bytes: [UInt8] = []
        var rest = text.utf8[...]
        while let byte = rest.popFirst() {
            guard byte == UInt8(ascii: "%") else {
                bytes.append(byte)
                continue
            }
            guard let high = rest.popFirst().flatMap(hexDigit), let low = rest.popFirst().flatMap(hexDigit) else {
                return nil
            }
            bytes.append(high << 4 | low)
        }
        return String(validating: bytes, as: UTF8.self)
    }

    private static func hexDigit(_ byte: UInt8) -> UInt8? {
        switch byte {
        case 0x30...0x39: byte - 0x30
        case 0x41...0x46: byte - 0x41 + 10
        case 0x61...0x66: byte - 0x61 + 10
        default: nil
        }
    }
}
