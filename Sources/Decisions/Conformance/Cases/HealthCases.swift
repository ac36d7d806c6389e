// SPDX-License-Identifier: Apache-2.0
import XKSCalls
import XKSProtocol

extension ConformanceCase {
    static let health: [ConformanceCase] = healthAnswers + healthRequests + requestMetadata(of: .health)

    private static func test(
        _ id: String, _ title: String, level: Bindingness = .must, at section: String = Section.health,
        _ steps: CaseStep...
    ) -> ConformanceCase {
        ConformanceCase("health-\(id)", .health, level, section, title, steps)
    }

    private static let healthAnswers = [
        test(
            "fleet-size", "xksProxyFleetSize is a whole number above zero",
            .health(.success("") { AnswerShape.fleetSizeFlaw($0.json) })),
        test(
            "names", "xksProxyVendor, xksProxyModel and ekmVendor are texts",
            .health(.success("") { AnswerShape.healthNamesFlaw($0.json) })),
        test(
            "fleet", "ekmFleetDetails has one to ten entries with id, model and healthStatus, each id once",
            .health(.success("") { AnswerShape.fleetFlaw($0.json) })),
        test(
            "model-version", "xksProxyModel names the product and its version", level: .should,
            .health(
                .success(" with a version in xksProxyModel") { judged in
                    let model = judged.json?["xksProxyModel"]?.text ?? ""
                    return model.utf8.contains { (0x30...0x39).contains($0) } ? nil : "xksProxyModel has no digit"
                })),
        test(
            "tells-truth", "While cryptography works, some key manager is not UNAVAILABLE", .encrypt(),
            .health(
                .success(" with a usable key manager") { judged in
                    let fleet = judged.json?["ekmFleetDetails"]?.elements ?? []
                    let usable = fleet.contains { ["ACTIVE", "DEGRADED"].contains($0["healthStatus"]?.text) }
                    return usable ? nil : "none is"
                })),
        test(
            "strong-assurance", "After a successful check, an encryption and a decryption succeed", level: .should,
            .health(),
            .encrypt(), .decrypt()),
    ]

    private static let healthRequests =
        ["CreateCustomKeyStore", "ConnectCustomKeyStore", "UpdateCustomKeyStore", "KmsHealthCheck"].map { operation in
            test(
                "for-\(operation.lowercased())", "The request of \(operation) is answered",
                .health { $0.metadata("kmsOperation", JSONObject.string(operation)) })
        }
        + [
            test(
                "without-principal", "Health is not subject to secondary authorization: nobody's principal asks",
                .health()),
            test(
                "with-principal", "A request that names a principal nevertheless", level: .should, at: Section.fields,
                .health { $0.metadata("awsPrincipalArn", JSONObject.string(ConformanceSubject.principal)) }),
            test(
                "without-request-id", "A request without kmsRequestId", level: .note,
                .health(.reading("the field is REQUIRED, and ValidationException is none of this operation's errors")) {
                    $0.metadata("kmsRequestId", nil)
                }),
            test(
                "without-kms-operation", "A request without kmsOperation", level: .note,
                .health(.reading("the field is REQUIRED, and ValidationException is none of this operation's errors")) {
                    $0.metadata("kmsOperation", nil)
                }),
            test(
                "without-metadata", "A request without requestMetadata", level: .note,
                .health(.reading("the field is REQUIRED, and ValidationException is none of this operation's errors")) {
                    $0.field("requestMetadata", nil)
                }),
            test(
                "empty-body", "A request without a body", level: .note,
                .health(.reading("refused, or taken for one without metadata")) { $0.rawBody = [] }),
            test(
                "malformed", "A request that is no JSON", level: .note,
                .health(.reading("refused, or not looked at")) { $0.text("{") }),
        ]
}
