// SPDX-License-Identifier: Apache-2.0
import AdminClient
import CPlatform
import Glibc
import HostLimits
import NodeConfig

/// What of a host could hurt a node: descriptors, the disk of its state, the clock, processors.
struct HostDiagnosis {
    let settings: NodeSettings

    func findings() -> [Diagnosis.Finding] { [openFiles, processors, disk, synchronization].compactMap(\.self) }

    private func finding(
        _ subject: String, _ state: Diagnosis.State, _ text: String, advice: String? = nil
    ) -> Diagnosis.Finding {
        Diagnosis.Finding("host", subject, state, text, advice: advice)
    }

    private var openFiles: Diagnosis.Finding {
        let demand = DescriptorPlan.Demand(
            sessions: settings.hsms.map(\.sessions), eventLoops: settings.node.eventLoops ?? processorCount,
            isClustered: settings.cluster != nil, xksConnections: settings.xks.maxConnections)
        let advice =
            "raise the limit: LimitNOFILE= of the unit, or ulimit -n; this is the limit of this command's own user"
        do throws(TooFewDescriptors) {
            let plan = try DescriptorPlan(demand, limit: HostLimits.descriptors)
            let text = "\(plan.limit) may be open; \(plan.xks) connections of KMS at a time"
            guard plan.xks < demand.xksConnections else { return finding("open files", .ok, text) }
            return finding(
                "open files", .warning, "\(text) instead of xks.max_connections = \(demand.xksConnections)",
                advice: advice)
        } catch {
            return finding("open files", .failure, error.description, advice: advice)
        }
    }

    private var processorCount: Int { max(sysconf(Int32(_SC_NPROCESSORS_ONLN)), 1) }

    private var processors: Diagnosis.Finding {
        let count = processorCount
        return count < 2
            ? finding(
                "processors", .warning, "1: event loops, lanes and the log wait for each other",
                advice: "give the node two or more")
            : finding("processors", .ok, "\(count)")
    }

    /// Below this a database and its log of changes may not find room, bytes.
    private static let leastFree: UInt64 = 256 << 20
    /// A block is confirmed when it is on the disk, milliseconds.
    private static let slowSync = 100.0

    /// Room, and how long a write that must last takes, in the state directory or the nearest one above it.
    private var disk: Diagnosis.Finding {
        let directory = nearestDirectory
        var facts = statvfs()
        guard statvfs(directory, &facts) == 0 else {
            return finding(
                "disk", .failure, "\(directory) cannot be looked at: \(String(cString: strerror(errno)))",
                advice: "mount it, or choose another node.state_dir")
        }
        let free = UInt64(facts.f_bavail).multipliedReportingOverflow(by: UInt64(facts.f_frsize))
        let megabytes = (free.overflow ? .max : free.partialValue) >> 20
        let time: Double
        do throws(WriteTrial.Failure) {
            time = Double(try WriteTrial.write(8, in: directory)) / 1e6
        } catch {
            return finding(
                "disk", .failure, "\(directory) has \(megabytes) MiB free, and cannot be written: \(error.reason)",
                advice: "mend its owner, its mode or its disk")
        }
        let text = "\(directory) has \(megabytes) MiB free, and a write that lasts takes \(tenths(time)) ms"
        if megabytes < Self.leastFree >> 20 {
            return finding("disk", .warning, text, advice: "make room: without it blocks last until a restart only")
        }
        if time > Self.slowSync {
            return finding(
                "disk", .warning, text, advice: "orders to block wait for it; give the directory a faster disk")
        }
        return finding("disk", .ok, text)
    }

    private var nearestDirectory: String {
        var path = settings.node.stateDirectory
        while access(path, F_OK) != 0, path.count > 1, let slash = path.lastIndex(of: "/") {
            path = slash == path.startIndex ? "/" : String(path[..<slash])
        }
        return path
    }

    /// Whether the kernel's clock is kept by somebody (adjtimex(2)).
    private var synchronization: Diagnosis.Finding? {
        let error = claviger_clock_error()
        guard error > -2 else { return nil }
        return error >= 0
            ? finding("clock", .ok, "the kernel says that it is synchronized, to within \(error / 1_000) ms")
            : finding(
                "clock", .warning, "the kernel does not know that anything keeps it right",
                advice: "run chrony or systemd-timesyncd; KMS's signatures allow five minutes")
    }
}

/// With one digit after the point.
func tenths(_ value: Double) -> String {
    let tenths = Int(min(max(value, 0), 1e12) * 10 + 0.5)
    return "\(tenths / 10).\(tenths % 10)"
}
