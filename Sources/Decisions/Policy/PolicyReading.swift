// SPDX-License-Identifier: Apache-2.0

extension KeyStorePolicy {
    /// Reads a policy as it stands in a file.
    ///
    /// - Throws: everything that is wrong with it, up to ``PolicyProblems/most`` problems.
    package convenience init(text: [UInt8]) throws(PolicyProblems) {
        let document = try PolicyReader.document(text, subject: "")
        let reader = PolicyReader(text)
        let statements = reader.statements(document)
        guard reader.problems.isEmpty else { throw PolicyProblems(problems: reader.problems) }
        self.init(statements: statements)
    }
}

/// Reads statements, and goes on after what is wrong, so that all of it is reported at once.
final class PolicyReader {
    private(set) var problems: [PolicyProblem] = []
    private let text: [UInt8]
    /// Offsets of the beginnings of lines, to find places in linear time.
    private let lines: [Int]
    /// Of the statement that is being read; empty outside of one.
    var statement = ""
    /// How many there have been.
    var values = 0

    init(_ text: [UInt8]) {
        self.text = text
        lines = [0] + text.indices.filter { text[$0] == UInt8(ascii: "\n") }.map { $0 + 1 }
    }

    /// - Parameter subject: what it is, where it is no policy.
    static func document(_ text: [UInt8], subject: String) throws(PolicyProblems) -> JSONNode {
        guard text.count <= PolicyLimits.fileBytes else {
            throw PolicyProblems(problems: [
                PolicyProblem(
                    line: 0, column: 0, place: subject, value: "",
                    message: "is larger than \(PolicyLimits.fileBytes) bytes", mend: "shorten it")
            ])
        }
        var tree = JSONTreeReader(text)
        do throws(JSONFault) {
            return try tree.document()
        } catch {
            let (line, column) = JSONTreeReader.position(of: error.offset, in: text)
            throw PolicyProblems(problems: [
                PolicyProblem(
                    line: line, column: column, place: subject, value: "", message: error.message, mend: error.mend)
            ])
        }
    }

    func report(_ offset: Int, _ place: String, value: String = "", _ message: String, mend: String) {
        guard problems.count < PolicyProblems.most else { return }
        let line = self.line(of: offset)
        problems.append(
            PolicyProblem(
                line: line, column: offset - lines[line - 1] + 1,
                place: [statement, place].filter { !$0.isEmpty }.joined(separator: ", "), value: value,
                message: message, mend: mend))
    }

    /// From 1.
    func line(of offset: Int) -> Int {
        var (low, high) = (0, lines.count)
        while low < high {
            let middle = (low + high) / 2
            if lines[middle] <= offset { low = middle + 1 } else { high = middle }
        }
        return max(low, 1)
    }

    // MARK: The document

    func statements(_ document: JSONNode) -> [Statement] {
        guard let members = object(document, "", names: ["Version", "Id", "Statement"]) else { return [] }
        if let version = members["Version"], let text = string(version, "Version"),
            text != "2012-10-17", text != "2008-10-17"
        {
            report(
                version.offset, "Version", value: Shown.quoted(text), "is no version of the language",
                mend: "write \"2012-10-17\", or leave it out")
        }
        if let id = members["Id"] { _ = string(id, "Id") }
        guard let node = members["Statement"] else {
            report(document.offset, "", "has no Statement", mend: "add \"Statement\": [ … ]")
            return []
        }
        let nodes: [JSONNode]
        switch node.value {
        case .object: nodes = [node]
        case .array(let list): nodes = list
        default:
            report(node.offset, "Statement", "is \(node.kind)", mend: "write a list of objects")
            return []
        }
        if nodes.isEmpty {
            report(
                node.offset, "Statement", "is empty, which would deny everything",
                mend: "add a statement; a Deny of everything, where that is meant")
        }
        guard nodes.count <= PolicyLimits.statements else {
            report(
                node.offset, "Statement", "has \(nodes.count) statements, more than \(PolicyLimits.statements)",
                mend: "join those that differ in one list only")
            return []
        }
        return read(nodes)
    }

    private func read(_ nodes: [JSONNode]) -> [Statement] {
        var statements: [Statement] = []
        var sids: [String: Int] = [:]
        for (index, node) in nodes.enumerated() {
            statement = "statement \(index + 1)"
            let readIt = statement(node, number: index + 1)
            if let sid = readIt?.sid, let other = sids.updateValue(index + 1, forKey: sid) {
                report(
                    node.offset, "Sid", value: Shown.quoted(sid), "is the Sid of statement \(other)",
                    mend: "give each a Sid of its own: the log names it")
            }
            if let readIt { statements.append(readIt) }
        }
        statement = ""
        return statements
    }

    private func statement(_ node: JSONNode, number: Int) -> Statement? {
        let names = ["Sid", "Effect", "Principal", "Action", "Resource", "Condition"]
        guard let members = object(node, "", names: names) else { return nil }
        let sid = members["Sid"].flatMap(sid)
        if let sid { statement += " \(Shown.quoted(sid))" }
        let principals = required(members, "Principal", in: node, example: "\"Principal\": \"*\"").map(principals)
        let actions = required(members, "Action", in: node, example: "\"Action\": \"xks:*\"").map(actions)
        let resources = required(members, "Resource", in: node, example: "\"Resource\": \"*\"").map(resources)
        let conditions = members["Condition"].map(conditions) ?? []
        guard let effect = required(members, "Effect", in: node, example: "\"Effect\": \"Allow\"").flatMap(effect),
            let actions, let principals, let resources
        else { return nil }
        return Statement(
            number: number, sid: sid, line: line(of: node.offset), effect: effect, actions: actions,
            principals: principals, resources: resources, conditions: conditions)
    }

    private func sid(_ node: JSONNode) -> String? {
        guard let text = string(node, "Sid") else { return nil }
        let isPlain = text.utf8.allSatisfy { byte in
            switch byte {
            case 0x30...0x39, 0x41...0x5A, 0x61...0x7A, 0x20, 0x2D, 0x2E, 0x5F: true
            default: false
            }
        }
        guard isPlain, (1...PolicyLimits.sidCharacters).contains(text.utf8.count) else {
            report(
                node.offset, "Sid", value: Shown.quoted(text), "cannot be a Sid",
                mend: "use 1 to \(PolicyLimits.sidCharacters) of A-Z a-z 0-9 space - . _")
            return nil
        }
        return text
    }

    private func effect(_ node: JSONNode) -> PolicyEffect? {
        guard let text = string(node, "Effect") else { return nil }
        guard let effect = PolicyEffect(rawValue: text) else {
            report(
                node.offset, "Effect", value: Shown.quoted(text), "is neither Allow nor Deny",
                mend: "write \"Allow\" or \"Deny\"")
            return nil
        }
        return effect
    }
}
