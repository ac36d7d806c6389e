// SPDX-License-Identifier: Apache-2.0

/// Something that KMS or CloudWatch says of an external key store, and what it means for whoever runs the nodes.
///
/// Sources: the XKS specification 1.0.3 ("Error codes", "KMS Considerations"), KMS's API reference, and the pages of its
/// developer guide on troubleshooting and monitoring. What the node answers is this program's own.
package struct KMSWord: Sendable, Equatable {
    /// Where one meets it; also the parts of the page.
    package enum Place: String, Sendable, CaseIterable {
        case messages
        case createKey
        case configuration
        case connection
        case metrics
    }

    /// Stable, for programs and as an anchor: lower-case letters and hyphens.
    package let id: String
    package let place: Place
    /// What it is called: AWS's sentence, or its name.
    package let title: String
    /// AWS's names that mean this and nothing else: exceptions, connection error codes, metrics, values of ExceptionName.
    package let names: [String]
    /// AWS's sentences, as far as they tell this from all others.
    package let sentences: [String]
    /// Exceptions that it comes with, where they say less than the sentence.
    package let exceptions: [String]
    /// What the node said in `errorMessage`, which KMS puts into CloudWatch Logs.
    package let nodeSays: [String]
    package let meaning: String
    /// What the node answered: status, error name, reason; or that nothing came to it.
    package let answer: String
    /// Fields of the log, conditions, commands.
    package let look: [String]
    package let node: [String]
    package let aws: [String]

    init(
        _ id: String, _ place: Place, title: String? = nil, names: [String] = [], sentences: [String] = [],
        exceptions: [String] = [],
        nodeSays: [String] = [], meaning: String, answer: String, look: [String], node: [String], aws: [String]
    ) {
        self.id = id
        self.place = place
        self.title = title ?? sentences.first ?? names.first ?? id
        self.names = names
        self.sentences = sentences
        self.exceptions = exceptions
        self.nodeSays = nodeSays
        self.meaning = meaning
        self.answer = answer
        self.look = look
        self.node = node
        self.aws = aws
    }

    /// All of them, in the order of the page.
    package static let all = messages + creatingKeys + configuring + connecting + metrics

    /// What KMS's cryptographic operations answer for every fault of an external key store.
    static let anyOperation = ["KMSInvalidStateException", "CustomKeyStoreInvalidStateException"]
}
