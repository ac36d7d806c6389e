// SPDX-License-Identifier: Apache-2.0

/// What of a text from AWS is compared: its words, without what differs from account to account.
enum KMSText {
    /// Words in lower case. ARNs, identifiers, numbers, addresses and the name of the company are left out.
    static func words(of text: String, atMost most: Int) -> [String] {
        var words: [String] = []
        for chunk in text.split(whereSeparator: { $0.isWhitespace || "\"'`“”‘’(),;<>[]{}".contains($0) }) {
            guard words.count < most else { break }
            let chunk = chunk.lowercased()
            guard !isOfOneAccount(chunk) else { continue }
            words += chunk.split(whereSeparator: { !isPart($0) }).map(String.init).filter(isCompared)
        }
        return Array(words.prefix(most))
    }

    private static func isPart(_ character: Character) -> Bool {
        character.isASCII && (character.isLetter || character.isNumber || character == "_")
    }

    private static func isCompared(_ word: String) -> Bool {
        !word.allSatisfy(\.isNumber) && word != "aws" && word != "amazon"
    }

    private static func isOfOneAccount(_ chunk: String) -> Bool {
        let starts = ["arn:", "cks-", "vpce-", "vpc-", "key/", "alias/", "http://", "https://"]
        if starts.contains(where: chunk.hasPrefix) || chunk.contains("://") { return true }
        // UUIDs and their like: hexadecimal digits in groups.
        return chunk.count >= 20 && chunk.contains("-") && chunk.allSatisfy { $0.isHexDigit || $0 == "-" || $0 == "." }
    }

    /// Whether a word is one of AWS's names, whatever its case, with or without `_` and `Exception`.
    static func isSame(_ word: String, as name: String) -> Bool {
        let (word, name) = (squeezed(word), squeezed(name))
        return word == name || word + "exception" == name
    }

    /// From 0 to 1: how much of two names is alike, by the least number of letters to change.
    static func likeness(_ word: String, _ name: String) -> Double {
        let (left, right) = (Array(squeezed(word).utf8.prefix(100)), Array(squeezed(name).utf8.prefix(100)))
        guard left.count >= 6, !right.isEmpty else { return 0 }
        var row = Array(0...right.count)
        for (line, letter) in left.enumerated() {
            var diagonal = row[0]
            row[0] = line + 1
            for column in right.indices {
                let changed = diagonal + (right[column] == letter ? 0 : 1)
                diagonal = row[column + 1]
                row[column + 1] = min(changed, min(row[column], diagonal) + 1)
            }
        }
        return 1 - Double(row[right.count]) / Double(max(left.count, right.count))
    }

    private static func squeezed(_ name: String) -> String { name.lowercased().filter { $0 != "_" } }
}

/// The errors in JSON of CloudTrail, however it was pasted: whole, in part, as a string within JSON.
enum CloudTrailErrors {
    /// `errorCode` and `errorMessage` of each event, as one text, each once.
    static func found(in input: String) -> [String] {
        // JSON within JSON has its quotes escaped, once or more often.
        let text = Array(input.utf8.filter { $0 != UInt8(ascii: "\\") })
        var texts: [String] = []
        var code: String?
        for value in values(of: ["errorcode", "errormessage", "connectionerrorcode"], in: text) {
            if value.name == "errorcode" {
                if let code { texts.append(code) }
                code = value.text
            } else {
                texts.append([code, value.text].compactMap(\.self).joined(separator: ": "))
                code = nil
            }
        }
        if let code { texts.append(code) }
        var seen: Set<String> = []
        return texts.filter { seen.insert($0).inserted }
    }

    /// Values of members with these names, which are in lower case, in their order.
    private static func values(of names: Set<String>, in text: [UInt8]) -> [(name: String, text: String)] {
        let quotes: Set<UInt8> = [UInt8(ascii: "\""), UInt8(ascii: "'")]
        var found: [(name: String, text: String)] = []
        var at = 0
        while at < text.count {
            guard quotes.contains(text[at]), let name = quoted(text, at), names.contains(name.text.lowercased()) else {
                at += 1
                continue
            }
            at = skippingBlanks(text, name.end)
            guard at < text.count, text[at] == UInt8(ascii: ":") else { continue }
            at = skippingBlanks(text, at + 1)
            guard at < text.count, quotes.contains(text[at]), let value = quoted(text, at) else { continue }
            found.append((name.text.lowercased(), value.text))
            at = value.end
        }
        return found
    }

    /// What is between the quotation mark at a place and the next one of its kind, at most 4,096 bytes; `end` is behind it.
    private static func quoted(_ text: [UInt8], _ start: Int) -> (text: String, end: Int)? {
        let rest = text[(start + 1)...].prefix(4_096)
        guard let end = rest.firstIndex(of: text[start]) else { return nil }
        return (String(decoding: rest[..<end], as: UTF8.self), end + 1)
    }

    private static func skippingBlanks(_ text: [UInt8], _ start: Int) -> Int {
        text[start...].firstIndex { ![0x20, 0x09, 0x0a, 0x0d].contains($0) } ?? text.count
    }
}
