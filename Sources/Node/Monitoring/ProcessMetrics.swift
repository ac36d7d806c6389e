// SPDX-License-Identifier: Apache-2.0
import CPlatform
import Glibc

/// What the kernel says of this process (proc(5), getrusage(2)), under the names that all of Prometheus' clients use.
package enum ProcessMetrics {
    /// - Parameter startedAt: Unix seconds.
    package static func write(startedAt: Int64, to page: inout MetricPage) {
        var usage = rusage()
        if getrusage(__rusage_who_t(RUSAGE_SELF.rawValue), &usage) == 0 {
            page.add(.processorTime, [], seconds(usage.ru_utime) + seconds(usage.ru_stime))
        }
        if let pages = residentPages {
            page.add(.residentMemory, [], Double(pages) * Double(sysconf(Int32(_SC_PAGESIZE))))
        }
        if let count = descriptors { page.add(.openDescriptors, [], Double(count)) }
        page.add(.mostDescriptors, [], Double(claviger_descriptor_limit()))
        page.add(.startTime, [], Double(startedAt))
    }

    private static func seconds(_ time: timeval) -> Double { Double(time.tv_sec) + Double(time.tv_usec) / 1e6 }

    private static var residentPages: Int? {
        guard let file = fopen("/proc/self/statm", "re") else { return nil }
        defer { fclose(file) }
        var line = [CChar](repeating: 0, count: 128)
        guard fgets(&line, Int32(line.count), file) != nil else { return nil }
        let text = String(decoding: line.prefix { $0 != 0 }.map { UInt8(bitPattern: $0) }, as: UTF8.self)
        return text.split(separator: " ").dropFirst().first.flatMap { Int($0) }
    }

    private static var descriptors: Int? {
        guard let directory = opendir("/proc/self/fd") else { return nil }
        defer { closedir(directory) }
        var count = 0
        while let entry = readdir(directory) {
            // `.` and `..` are no descriptors.
            if entry.pointee.d_name.0 != 0x2E { count += 1 }
        }
        // Without that of the directory itself.
        return max(count - 1, 0)
    }
}
