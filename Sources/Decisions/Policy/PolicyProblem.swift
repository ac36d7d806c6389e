// SPDX-License-Identifier: Apache-2.0

/// One thing that is wrong with a policy, or that a person should know of it.
package struct PolicyProblem: Error, Sendable, Equatable {
    /// In the file, from 1; 0 where it is about the file as a whole.
    package var line: Int
    /// Bytes from the beginning of the line, from 1.
    package var column: Int
    /// In the document: `statement 2 "Sid", Condition.StringLike.awsPrincipalArn`; empty for the document itself.
    package var place: String
    /// As it stands there, quoted and shortened; empty where there is none to show.
    package var value: String
    /// A predicate: "is no operator".
    package var message: String
    /// What to do about it.
    package var mend: String
}

extension PolicyProblem: CustomStringConvertible {
    /// Without what mends it.
    package var statement: String {
        let position = line > 0 ? "line \(line), column \(column): " : ""
        let subject = [place, value].filter { !$0.isEmpty }.joined(separator: ": ")
        return "\(position)\(subject.isEmpty ? "the policy" : subject) \(message)"
    }

    package var description: String { "\(statement); \(mend)" }
}

/// Everything that is wrong with a policy; a policy with one problem is not used at all.
package struct PolicyProblems: Error, Sendable, Equatable, CustomStringConvertible {
    /// At least one, in the order of the file, at most ``most``.
    package var problems: [PolicyProblem]

    /// So many are reported at once.
    package static let most = 20

    package var description: String { problems.map(\.description).joined(separator: "\n") }
}

/// How large a policy may be. All of it is the work of an operator, and a mistake there (a generated file, an endless
/// list) must not stop a node or make each request slow.
package enum PolicyLimits {
    /// Bytes of the file.
    package static let fileBytes = 1_048_576
    /// Objects and arrays in each other. The language needs six.
    package static let depth = 8
    package static let statements = 4_096
    /// Values of all statements together: principals, actions, resources and those of conditions.
    package static let values = 16_384
    /// Bytes of one value; AWS's longest ARN has 2,048 characters.
    package static let valueBytes = 4_096
    /// Characters of a Sid.
    package static let sidCharacters = 128
    /// Characters between two `*` where a `?` is among them: of those each has to be tried at each place.
    package static let charactersBetweenStars = 16
    /// Characters of a condition's key.
    package static let keyCharacters = 128
}
