// SPDX-License-Identifier: Apache-2.0

/// Something that a person should know of a setting: a node works by it, and what stands before the node does not.
package struct SettingAdvice: Sendable, Equatable {
    /// Of the setting, as in the file: `xks.request_deadline`.
    package var path: String
    /// The rest of a sentence, with what mends it.
    package var message: String
}

extension XKSSettings {
    /// KMS has gone when an answer comes later: 250 ms, less a round trip on a connection that is open and what the node
    /// needs to write it.
    package static let longestDeadline = Duration.milliseconds(230)
    /// A network load balancer of AWS forgets a connection on which there was no packet for so long, and tells nobody.
    package static let balancersMemory = Duration.seconds(350)

    package var advice: [SettingAdvice] {
        var advice: [SettingAdvice] = []
        if requestDeadline > Self.longestDeadline {
            advice.append(
                SettingAdvice(
                    path: "xks.request_deadline",
                    message:
                        "\(SettingDuration.text(requestDeadline)) is more than KMS waits for: it gives up 250 ms after "
                        + "it began to connect; lower it to 230ms or less, by the round trip to KMS (the guide on load "
                        + "balancers has a table)"))
        }
        if idleTimeout >= Self.balancersMemory, keepalive.idle >= Self.balancersMemory {
            advice.append(
                SettingAdvice(
                    path: "xks.idle_timeout",
                    message: "\(SettingDuration.text(idleTimeout)), and nothing is sent on an idle connection for "
                        + "\(SettingDuration.text(keepalive.idle)) (tcp_keepalive.idle): an NLB forgets a connection after "
                        + "350 s without a packet, and what KMS then sends on it is lost; lower one of them below 350s")
            )
        }
        return advice
    }

    /// Whether KMS itself sees the certificate, as far as the settings tell: on a loopback address a terminator of TLS
    /// stands in between, or nobody but its developer uses the node.
    package var showsItsCertificateToKMS: Bool { certificateFor == .kms && !listen.isLoopback }
}
