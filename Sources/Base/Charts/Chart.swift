// SPDX-License-Identifier: Apache-2.0

/// The lines of a chart as path data of SVG. The drawing is 600 × 120 units, and is stretched to where it is shown.
package struct Chart {
    package static let width = 600.0
    package static let height = 120.0

    /// The value at the upper edge.
    package let most: Double

    /// - Parameter values: of all lines; the upper edge is the next round number above the largest, at least `least`.
    package init(of values: [Double?], least: Double) {
        most = Self.roundNumber(above: max(values.compactMap(\.self).filter(\.isFinite).max() ?? 0, least))
    }

    /// The next of 1, 2, 5, 10, 20 …
    package static func roundNumber(above value: Double) -> Double {
        guard value.isFinite, value > 0 else { return 1 }
        var unit = 1.0
        while unit * 10 <= min(value, 1e15) { unit *= 10 }
        while unit > value, unit > 1e-6 { unit /= 10 }
        return [1, 2, 5].map { $0 * unit }.first { $0 >= value } ?? unit * 10
    }

    /// A line that breaks where there is no value.
    package func line(_ values: [Double?]) -> String {
        runs(values).map { run in
            let points = run.map { "\(x($0.index, of: values.count)) \(y($0.value))" }
            // One point alone is as wide as a step.
            guard points.count > 1, let first = points.first else {
                return run.map {
                    "M\(x($0.index, of: values.count)) \(y($0.value))H\(x($0.index + 1, of: values.count))"
                }.joined()
            }
            return "M\(first)L" + points.dropFirst().joined(separator: " ")
        }.joined()
    }

    /// A line through points that are not evenly spaced: `x` from 0, the left edge, to 1.
    package func line(through points: [(x: Double, value: Double)]) -> String {
        let places = points.filter { $0.x.isFinite && $0.value.isFinite }.map { point in
            "\(Self.coordinate(min(max(point.x, 0), 1) * Self.width)) \(y(point.value))"
        }
        guard let first = places.first else { return "" }
        return "M\(first)" + (places.count > 1 ? "L" + places.dropFirst().joined(separator: " ") : "h0.1")
    }

    /// What is below that line.
    package func area(_ values: [Double?]) -> String {
        runs(values).compactMap { run in
            guard let first = run.first, let last = run.last else { return nil }
            let base = Self.coordinate(Self.height)
            let points = run.map { "\(x($0.index, of: values.count)) \(y($0.value))" }.joined(separator: " ")
            let end = run.count > 1 ? last.index : last.index + 1
            let top = run.count > 1 ? points : "\(points) \(x(end, of: values.count)) \(y(last.value))"
            return "M\(x(first.index, of: values.count)) \(base)L\(top) \(x(end, of: values.count)) \(base)Z"
        }.joined()
    }

    private func runs(_ values: [Double?]) -> [[(index: Int, value: Double)]] {
        var runs: [[(index: Int, value: Double)]] = []
        var isOpen = false
        for (index, value) in values.enumerated() {
            guard let value, value.isFinite else {
                isOpen = false
                continue
            }
            if !isOpen { runs.append([]) }
            isOpen = true
            runs[runs.count - 1].append((index, value))
        }
        return runs
    }

    private func x(_ index: Int, of count: Int) -> String {
        Self.coordinate(count > 1 ? min(Double(index) / Double(count - 1), 1) * Self.width : 0)
    }

    private func y(_ value: Double) -> String {
        Self.coordinate(Self.height - min(max(value / most, 0), 1) * Self.height)
    }

    /// To a tenth of a unit, which no eye sees.
    private static func coordinate(_ value: Double) -> String {
        let tenths = Int64((min(max(value, 0), 1e12) * 10).rounded())
        return tenths % 10 == 0 ? "\(tenths / 10)" : "\(tenths / 10).\(tenths % 10)"
    }
}
