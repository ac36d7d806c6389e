// SPDX-License-Identifier: Apache-2.0
import Foundation
import Policy
import Testing

struct PolicyReferenceTests {
    private var document: URL {
        URL(fileURLWithPath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
            .deletingLastPathComponent().appendingPathComponent("docs/reference/policy.md")
    }

    /// After a change: `CLAVIGER_WRITE_REFERENCE=1 swift test --filter ReferenceTests`, and read what changed.
    @Test func theReferenceIsUpToDate() throws {
        let text = PolicyReference.markdown()
        if ProcessInfo.processInfo.environment["CLAVIGER_WRITE_REFERENCE"] != nil {
            try Data(text.utf8).write(to: document)
        }
        #expect(try String(contentsOf: document, encoding: .utf8) == text)
    }

    @Test func itsExampleIsRightAndNothingOfItIsHardlyMeant() throws {
        let policy = try KeyStorePolicy(text: Array(PolicyReference.example.utf8))
        #expect(policy.findings == [])
        let request = Sample.request(principal: "arn:aws:iam::111122223333:role/payments") {
            $0.awsSourceVpc = "vpc-0a1b2c3d4e5f"
        }
        #expect(policy.decide(request) == .allowed(by: "PaymentsByItsRole"))
    }

    @Test func everyOperatorAndKeyStandsInIt() {
        let text = PolicyReference.markdown()
        for name in Comparison.allCases.map(\.rawValue) + ConditionKey.known.map(\.name)
            + PolicyAction.allCases.map(\.rawValue)
        {
            #expect(text.contains("`\(name)`"), "\(name)")
        }
    }
}
