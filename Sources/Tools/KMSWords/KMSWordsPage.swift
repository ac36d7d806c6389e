// SPDX-License-Identifier: Apache-2.0

/// docs/guides/what-kms-says.md, made from the table.
package enum KMSWordsPage {
    package static func markdown() -> String {
        ([heading] + KMSWord.Place.allCases.map(part)).joined(separator: "\n\n") + "\n"
    }

    private static func part(_ place: KMSWord.Place) -> String {
        let entries = KMSWord.all.filter { $0.place == place }
        return (["## \(title(place))\n\n\(introduction(place))"] + entries.map(section)).joined(separator: "\n\n")
    }

    private static func section(_ word: KMSWord) -> String {
        let isName = word.names.first == word.title
        var lines = ["### \(isName ? "`\(word.title)`" : short(word.title))", "", "<a id=\"\(word.id)\"></a>"]
        lines += word.sentences.map { "> \($0)\(ending($0))" + "\n" }
        let others = word.exceptions + (isName ? Array(word.names.dropFirst()) : word.names)
        if !others.isEmpty { lines.append("With: " + others.map { "`\($0)`" }.joined(separator: ", ") + ".\n") }
        lines.append(word.meaning)
        lines.append("")
        lines.append("- **The node answered:** \(word.answer)")
        lines += item("Where to look", word.look)
        lines += item("On the node", word.node)
        lines += item("In AWS", word.aws)
        return lines.joined(separator: "\n")
    }

    private static func item(_ head: String, _ lines: [String]) -> [String] {
        guard lines.count != 1 else { return ["- **\(head):** \(lines[0])"] }
        return ["- **\(head):**"] + lines.map { "  - \($0)" }
    }

    /// The first sentence, which is long enough to be told from others.
    private static func short(_ title: String) -> String {
        guard !title.hasPrefix("…"), let end = title.firstRange(of: ". ") else {
            return title.hasSuffix(".") ? String(title.dropLast()) : title
        }
        return String(title[..<end.lowerBound])
    }

    /// A sentence of AWS's that goes on with a value.
    private static func ending(_ sentence: String) -> String { sentence.hasSuffix(".") ? "" : " …" }

    private static func title(_ place: KMSWord.Place) -> String {
        switch place {
        case .messages: "Encrypt, Decrypt, GenerateDataKey fail"
        case .createKey: "CreateKey fails"
        case .configuration: "A key store cannot be made, changed or connected"
        case .connection: "`ConnectionState` is `FAILED`: the error codes"
        case .metrics: "CloudWatch shows something"
        }
    }

    private static func introduction(_ place: KMSWord.Place) -> String {
        switch place {
        case .messages:
            """
            KMS has one exception for every fault of an external key store, `KMSInvalidStateException`; from CreateKey it is
            `CustomKeyStoreInvalidStateException`. Only the text differs. Services that call KMS for you often hide the text:
            it is CloudTrail's `errorMessage`, and `requestID` beside it is `kmsRequestId` in the node's log. What the node itself
            said (`errorMessage` of its answer) KMS puts into CloudWatch Logs of the calling account; `claviger explain` takes it, too.
            """
        case .createKey:
            """
            CreateKey asks a node for the key's metadata, and is the only call that does. What is not here is among the
            texts above.
            """
        case .configuration:
            """
            KMS asks for GetHealthStatus before it takes a new endpoint, path or credential, and changes nothing where that
            fails. Path and credential can be changed while the key store is connected; endpoint, connectivity and VPC
            endpoint service only while it is disconnected.
            """
        case .connection:
            """
            ConnectCustomKeyStore succeeds at once; what comes of it is known some five minutes later.
            `aws kms describe-custom-key-stores` shows the code. From `FAILED` no key store connects: **disconnect, wait for
            `DISCONNECTED`, then connect**.
            """
        case .metrics:
            """
            Name space AWS/KMS, dimension `CustomKeyStoreId`. [Watching nodes](monitoring.md) says which of the node's metrics
            lies beside which.
            """
        }
    }

    private static let heading = """
        # What KMS says

        <!-- Made from Sources/Tools/KMSWords. -->

        You see something in AWS. This page says what it means for your nodes: what the node answered, where to look, and what
        to do on the node and in AWS. `claviger explain "TEXT"` finds the entry for you: it takes a name, a code, a sentence,
        or a whole event of CloudTrail.

        ```sh
        claviger explain XKS_PROXY_NOT_REACHABLE
        aws cloudtrail lookup-events --lookup-attributes AttributeKey=EventName,AttributeValue=Decrypt | claviger explain -
        ```

        AWS's sentences are quoted from the [specification](https://github.com/aws/aws-kms-xksproxy-api-spec) and AWS's
        [page on troubleshooting](https://docs.aws.amazon.com/kms/latest/developerguide/xks-troubleshooting.html), as far as one
        needs them to find a text again. They differ a little between the two, and between versions.
        """
}
