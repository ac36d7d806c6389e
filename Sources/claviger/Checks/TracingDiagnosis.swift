// SPDX-License-Identifier: Apache-2.0
import AdminClient
import CPlatform
import Glibc
import NodeConfig
import TraceExport

/// Whether the collector of traces takes what the node would send it. No more than a warning: no request depends on it.
struct TracingDiagnosis {
    let configuration: NodeConfiguration
    let secrets: SecretReader

    func findings() async -> [Diagnosis.Finding] {
        guard let settings = configuration.settings.tracing else { return [] }
        let sources = [settings.headers].compactMap(\.self)
        let translation = Translation(secrets: secrets.readAll(sources), now: Int64(time(nil)))
        // What is wrong with the table itself stands among what the check says.
        var diagnostics = Diagnostics(configuration)
        guard let planned = translation.tracing(&diagnostics), diagnostics.error == nil else { return [] }
        let began = claviger_monotonic_nanoseconds()
        let trouble = await planned.destination.trouble()
        let time = tenths(Double(claviger_monotonic_nanoseconds() &- began) / 1e6)
        return [
            Diagnosis.Finding(
                "traces", "\(settings.endpoint)", trouble == nil ? .ok : .warning,
                trouble ?? "takes traces, in \(time) ms",
                advice: trouble == nil
                    ? nil : "look at the collector, its receiver for OTLP over HTTP, and [tracing] headers and ca")
        ]
    }
}
