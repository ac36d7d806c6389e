// SPDX-License-Identifier: Apache-2.0

/// The fields of one kind of object: an enumeration whose raw values count up from 0, at most 32 of them.
protocol JSONField: RawRepresentable<UInt8>, Sendable {
    /// The name as it stands in the object.
    var name: StaticString { get }
    /// The name for errors, with the path to it.
    var label: StaticString { get }
}

extension JSONField {
    var label: StaticString { name }
}

/// The fields of an object of which nothing is wanted.
struct NoJSONField: JSONField {
    init?(rawValue: UInt8) { nil }

    var rawValue: UInt8 { 0 }
    var name: StaticString { "" }
}
