// SPDX-License-Identifier: Apache-2.0
import Conditions
import Foundation
import Testing

extension EndToEnd {
    @Suite("each condition, brought about", .devTokens(3))
    struct Troubles {
        private static func cluster() async {
            #expect(throws: Never.self) { try ClusterTroubles().run() }
        }

        private static func nodes() throws {
            try NodeTroubles().run()
            try KeyTroubles().run()
            try HSMTroubles().run()
        }

        /// A condition has ended when it has been gone for ten seconds, and some begin as late: half of the stories, each of
        /// which has nodes of its own, goes on beside the other.
        @Test("its node and others say it, with exit statuses; the log says it once; and it is gone when it is mended")
        func stories() async {
            async let cluster: Void = Self.cluster()
            #expect(throws: Never.self) { try Self.nodes() }
            await cluster
        }

        /// The file of these tests in which a condition is brought about. A new one has to be given its place here.
        private static func file(of code: ConditionCode) -> String {
            switch code {
            case .overloaded, .noHSMServes, .hsmUnavailable, .hsmProbing, .hsmStarting, .hsmDrained, .hsmDegraded,
                .hsmTwice, .hsmSettingsRefused, .libraryNotConfined, .hsmsTooSlow:
                "HSMTroubles"
            case .noKeyServed, .keyStoreUnserved, .keyDisputed, .keyContested, .keyUnserved, .keyDifferent, .keyAbsent,
                .keyOdd,
                .configurationDiffers,
                .canariesDiffer:
                "KeyTroubles"
            case .noNodeServes, .blocksUnknown, .nodeDead, .nodeSuspect, .nodeUnreachable, .nodeUnconfirmed,
                .blocksDiffer, .refusedCertificatesDiffer, .nodeEnding, .nodeForgotten, .versionsDiffer, .blocksInForce:
                "ClusterTroubles"
            case .clockOff, .certificateInvalid, .certificateEnding, .seedUnreachable, .adminSocketClosed,
                .storeFailing:
                "NodeTroubles"
            case .nodeNameUsedTwice: "MisleadingNodesTests"
            case .nodeRestored: "ClusterMemoryTests"
            case .auditFailing, .auditContradicted: "AuditTests"
            }
        }

        @Test("there is none that is not brought about", arguments: ConditionCode.allCases)
        func place(of code: ConditionCode) throws {
            let directory = URL(fileURLWithPath: #filePath).deletingLastPathComponent()
            let file = directory.appendingPathComponent(Self.file(of: code) + ".swift")
            let text = try String(contentsOf: file, encoding: .utf8)
            #expect(text.contains(try Regex("[Tt]rouble\\(\\.\(code)\\b")))
        }
    }
}
