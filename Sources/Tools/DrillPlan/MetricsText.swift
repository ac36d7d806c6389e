// SPDX-License-Identifier: Apache-2.0

/// A page of metrics in the text format of Prometheus (version 0.0.4), taken apart. What is no sample is passed over: a later
/// version may say more.
package struct MetricsText: Sendable {
    package struct Sample: Sendable, Equatable {
        package var name: String
        package var labels: [String: String]
        package var value: Double
    }

    /// What is longer than this is not read on, bytes.
    private static let longest = 16 * 1024 * 1024

    package private(set) var samples: [Sample] = []

    package init(_ text: String) {
        for line in text.utf8.prefix(Self.longest).split(separator: 0x0A) where line.first != 0x23 {
            if let sample = Self.sample(Array(line)) { samples.append(sample) }
        }
    }

    /// Of all samples of a name whose labels hold these.
    package func sum(_ name: String, _ labels: [String: String] = [:]) -> Double {
        of(name, labels).reduce(0) { $0 + $1.value }
    }

    package func of(_ name: String, _ labels: [String: String] = [:]) -> [Sample] {
        samples.filter { sample in
            sample.name == name && labels.allSatisfy { sample.labels[$0.key] == $0.value }
        }
    }

    private static func sample(_ line: [UInt8]) -> Sample? {
        let nameEnd = line.firstIndex { $0 == 0x7B || $0 == 0x20 } ?? line.endIndex
        guard nameEnd > 0, nameEnd < line.endIndex, let name = String(validating: line[..<nameEnd], as: UTF8.self)
        else {
            return nil
        }
        var position = nameEnd
        var labels: [String: String] = [:]
        if line[position] == 0x7B {
            position += 1
            guard let (found, end) = Self.labels(line, position) else { return nil }
            (labels, position) = (found, end)
        }
        // A time may follow the value.
        let words = line[position...].split(separator: 0x20)
        guard let word = words.first, let value = Double(String(decoding: word, as: UTF8.self)), value.isFinite else {
            return nil
        }
        return Sample(name: name, labels: labels, value: value)
    }

    private static func labels(_ line: [UInt8], _ start: Int) -> (labels: [String: String], end: Int)? {
        var labels: [String: String] = [:]
        var position = start
        while position < line.count, line[position] != 0x7D {
            guard let equals = line[position...].firstIndex(of: 0x3D), equals + 1 < line.count,
                line[equals + 1] == 0x22,
                let name = String(validating: line[position..<equals], as: UTF8.self)
            else { return nil }
            var value: [UInt8] = []
            position = equals + 2
            while position < line.count, line[position] != 0x22 {
                var byte = line[position]
                if byte == 0x5C, position + 1 < line.count {
                    position += 1
                    byte = line[position] == UInt8(ascii: "n") ? 0x0A : line[position]
                }
                value.append(byte)
                position += 1
            }
            guard position < line.count else { return nil }
            labels[name] = String(decoding: value, as: UTF8.self)
            position += 1
            if position < line.count, line[position] == 0x2C { position += 1 }
        }
        return position < line.count ? (labels, position + 1) : nil
    }
}
