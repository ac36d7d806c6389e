// SPDX-License-Identifier: Apache-2.0
import XKSProtocol

extension PolicyRequest {
    /// Reads a request that a person has written down, or copied from a log, for ``KeyStorePolicy/explain(_:)``:
    ///
    /// ```json
    /// { "action": "xks:Decrypt", "externalKeyId": "payments", "keyStore": "/bank", "clientAddress": "192.0.2.1",
    ///   "time": "2026-01-31T08:00:00Z", "requestMetadata": { "awsPrincipalArn": "…", "kmsOperation": "Decrypt" } }
    /// ```
    ///
    /// - Parameter now: the time where the text names none, Unix seconds.
    /// - Throws: everything that is wrong with it.
    package static func read(text: [UInt8], now: Int64) throws(PolicyProblems) -> PolicyRequest {
        let document = try PolicyReader.document(text, subject: "the request")
        let reader = PolicyReader(text)
        reader.statement = "the request"
        guard let request = reader.request(document, now: now), reader.problems.isEmpty else {
            throw PolicyProblems(problems: reader.problems)
        }
        return request
    }
}

extension PolicyReader {
    fileprivate func request(_ document: JSONNode, now: Int64) -> PolicyRequest? {
        let names = ["action", "externalKeyId", "keyStore", "clientAddress", "time", "requestMetadata"]
        guard let members = object(document, "", names: names) else { return nil }
        let metadata = members["requestMetadata"].flatMap(metadata)
        if members["requestMetadata"] == nil {
            report(document.offset, "", "has no requestMetadata", mend: "add \"requestMetadata\": { … }")
        }
        var action: PolicyAction?
        if let node = members["action"] {
            let actions = actions(node)
            action = actions.first
            if actions.count > 1 {
                report(node.offset, "action", "names several", mend: "name the one that the request is")
            }
        } else {
            report(document.offset, "", "has no action", mend: "add \"action\": \"xks:Decrypt\"")
        }
        var time = now
        if let node = members["time"] {
            for (text, offset) in texts(node, "time", takesOthers: true) {
                guard let seconds = PolicyMoment.seconds(text) else {
                    report(
                        offset, "time", value: Shown.quoted(text), "is no moment",
                        mend: "write 2026-01-31T08:00:00Z, or seconds since 1970")
                    continue
                }
                time = seconds
            }
        }
        let text = { (name: String) in members[name].flatMap { self.string($0, name) } ?? "" }
        guard let action, let metadata else { return nil }
        return PolicyRequest(
            action: action, externalKeyID: text("externalKeyId"), keyStore: text("keyStore"),
            clientAddress: text("clientAddress"), time: time, metadata: metadata)
    }

    private func metadata(_ node: JSONNode) -> RequestMetadata? {
        guard case .object(let members) = node.value else {
            report(node.offset, "requestMetadata", "is \(node.kind)", mend: "write an object, { … }")
            return nil
        }
        var metadata = RequestMetadata(kmsOperation: "", kmsRequestId: "")
        for member in members {
            let values = texts(member.node, "requestMetadata.\(Shown.cut(member.name))", takesOthers: true).map(\.text)
            guard let first = values.first else { continue }
            switch member.name {
            case "awsPrincipalArn": metadata.awsPrincipalArn = first
            case "kmsKeyArn": metadata.kmsKeyArn = first
            case "kmsOperation": metadata.kmsOperation = first
            case "kmsRequestId": metadata.kmsRequestId = first
            case "awsSourceVpc": metadata.awsSourceVpc = first
            case "awsSourceVpce": metadata.awsSourceVpce = first
            case "kmsViaService": metadata.kmsViaService = first
            default: metadata.others.append(RequestMetadata.OtherField(name: member.name, values: values))
            }
        }
        return metadata
    }
}
