// SPDX-License-Identifier: Apache-2.0

// What stands in a document: objects with certain members, strings, lists of them, patterns.

extension PolicyReader {
    /// The members of an object by name. Those of other names are reported.
    func object(_ node: JSONNode, _ place: String, names: [String]) -> [String: JSONNode]? {
        guard case .object(let list) = node.value else {
            report(node.offset, place, "is \(node.kind)", mend: "write an object, { … }")
            return nil
        }
        var members: [String: JSONNode] = [:]
        for member in list {
            // Told apart as bytes: Strings would be by canonical equivalence.
            guard names.contains(where: { $0.utf8.elementsEqual(member.name.utf8) }) else {
                report(
                    member.offset, place, value: Shown.quoted(member.name), "is no member that can stand here",
                    mend: Self.mend(unknown: member.name, names: names))
                continue
            }
            members[member.name] = member.node
        }
        return members
    }

    private static func mend(unknown name: String, names: [String]) -> String {
        switch name {
        case "NotPrincipal": "deny with a condition instead: ArnNotLike on awsPrincipalArn"
        case "NotAction": "name the actions: there are three"
        case "NotResource": "deny with a condition instead: StringNotLike on xks:ExternalKeyId"
        default:
            NearestWord.find(name, among: names).map { "did you mean \($0)?" }
                ?? "there are: \(names.joined(separator: ", "))"
        }
    }

    func required(
        _ members: [String: JSONNode], _ name: String, in node: JSONNode, example: String
    ) -> JSONNode? {
        if let member = members[name] { return member }
        report(node.offset, "", "has no \(name)", mend: "add \(example)")
        return nil
    }

    func string(_ node: JSONNode, _ place: String) -> String? {
        guard case .string(let text) = node.value else {
            report(node.offset, place, "is \(node.kind)", mend: "write a string, in double quotes")
            return nil
        }
        return text
    }

    /// A value, or a list of them: not empty.
    func texts(_ node: JSONNode, _ place: String, takesOthers: Bool = false) -> [(text: String, offset: Int)] {
        let nodes: [JSONNode]
        if case .array(let list) = node.value { nodes = list } else { nodes = [node] }
        if nodes.isEmpty { report(node.offset, place, "is an empty list", mend: "name at least one value") }
        values += nodes.count
        guard values <= PolicyLimits.values else {
            report(
                node.offset, place, "is beyond the \(PolicyLimits.values)th value of the policy",
                mend: "use patterns instead of lists")
            return []
        }
        return nodes.compactMap { node in
            let text: String? =
                switch node.value {
                case .number(let text) where takesOthers: text
                case .bool(let value) where takesOthers: value ? "true" : "false"
                default: string(node, place)
                }
            guard let text else { return nil }
            guard text.utf8.count <= PolicyLimits.valueBytes else {
                report(
                    node.offset, place, value: Shown.quoted(text), "is longer than \(PolicyLimits.valueBytes) bytes",
                    mend: "shorten it")
                return nil
            }
            return (text, node.offset)
        }
    }

    /// A pattern; reported where it is none.
    func pattern(_ text: String, _ offset: Int, _ place: String, hasWildcards: Bool = true) -> TextPattern? {
        do throws(TextPattern.Flaw) {
            return try TextPattern(text, hasWildcards: hasWildcards)
        } catch {
            report(error, offset, place, text)
            return nil
        }
    }

    func report(_ flaw: TextPattern.Flaw, _ offset: Int, _ place: String, _ text: String) {
        switch flaw {
        case .variable(let variable):
            report(
                offset, place, value: Shown.quoted(variable), "is a policy variable, which KMS has no value for",
                mend: "write the value itself; ${$} is a dollar sign, ${*} and ${?} are the characters")
        case .crowdedStars:
            report(
                offset, place, value: Shown.quoted(text),
                "has a ? among more than \(PolicyLimits.charactersBetweenStars) characters between two *",
                mend: "write * in place of the ?, or leave one of the * out")
        }
    }
}
