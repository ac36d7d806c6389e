// SPDX-License-Identifier: Apache-2.0
import Glibc
import NIOCore

/// The Date field of answers (RFC 9110 section 6.6.1), made once per second and event loop.
struct DateField {
    private var second: time_t = -1
    private var bytes: [UInt8] = []

    /// `Sun, 06 Nov 1994 08:49:37 GMT`
    private(set) var text = ""

    /// Brings the field up to date; cheap within the same second.
    mutating func refresh(unixTime: time_t) {
        guard unixTime != second else { return }
        second = unixTime
        var moment = unixTime
        var fields = tm()
        gmtime_r(&moment, &fields)
        let day = Self.pick(["Sun", "Mon", "Tue", "Wed", "Thu", "Fri", "Sat"], fields.tm_wday)
        let month = Self.pick(
            ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"], fields.tm_mon)
        let clock = [fields.tm_hour, fields.tm_min, fields.tm_sec].map(Self.twoDigits).joined(separator: ":")
        text = "\(day), \(Self.twoDigits(fields.tm_mday)) \(month) \(1900 + Int(fields.tm_year)) \(clock) GMT"
        bytes = Array("\r\ndate: \(text)".utf8)
    }

    /// Writes line end, name and value, to follow another field.
    func write(to buffer: inout ByteBuffer) {
        buffer.writeBytes(bytes)
    }

    private static func pick(_ names: [String], _ index: Int32) -> String {
        names.indices.contains(Int(index)) ? names[Int(index)] : ""
    }

    private static func twoDigits(_ number: Int32) -> String {
        number < 10 ? "0\(number)" : "\(number)"
    }
}
