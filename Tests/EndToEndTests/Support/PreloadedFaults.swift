// SPDX-License-Identifier: Apache-2.0
import Foundation

/// Environments of processes whose clock, disk or number of threads is out of order (TestSupport/PreloadedFaults).
enum PreloadedFaults {
    /// The library, which the build puts beside these tests.
    static let library = URL(fileURLWithPath: "/proc/self/exe").resolvingSymlinksInPath()
        .deletingLastPathComponent().appendingPathComponent("libPreloadedFaults.so").path

    /// The time of day is so many seconds ahead.
    static func clock(ahead seconds: Int) -> [String: String] {
        ["LD_PRELOAD": library, "CLOCK_AHEAD_SECONDS": "\(seconds)"]
    }
}

/// A disk on which each write may take its time.
final class SlowDisk: Sendable {
    private let scratch: Scratch

    init() throws { scratch = try Scratch() }

    /// Of the process whose disk it is.
    var environment: [String: String] {
        PreloadedFaults.clock(ahead: 0).merging(["SLOW_SYNC_FILE": scratch.file("milliseconds")]) { $1 }
    }

    /// From now on each write takes so much longer.
    func set(milliseconds: Int) throws {
        try scratch.write("\(milliseconds)\n", to: "milliseconds.new")
        guard rename(scratch.file("milliseconds.new"), scratch.file("milliseconds")) == 0 else {
            throw HarnessError("cannot replace the file of the slow disk")
        }
    }
}
