// SPDX-License-Identifier: Apache-2.0
import XKSCalls

extension FuzzTarget {
    /// What a proxy answers to a command that asks it, whole and in pieces; and the JSON of the bodies.
    static let answers = FuzzTarget(name: "answers") { bytes in
        var input = FuzzInput(bytes)
        let size = Int(input.byte())
        let whole = read([input.bytes])
        let pieces = read(input.parts(of: size))
        guard whole == pieces else { return "\(whole) whole, \(pieces) in pieces of \(size)" }
        for answer in whole.answers {
            guard answer.body.count <= AnswerReader.longestBody else { return "a body of \(answer.body.count) bytes" }
            guard let json = JSONValue(answer.body) else { continue }
            _ = (json.repeatedNames, SealedFields(json), json["errorName"]?.text, json["xksProxyFleetSize"]?.integer)
        }
        return nil
    }

    private struct Reading: Equatable {
        var answers: [HTTPAnswer] = []
        var fault: AnswerFault?
    }

    private static func read(_ parts: [UnsafeRawBufferPointer]) -> Reading {
        var reader = AnswerReader()
        var reading = Reading()
        do throws(AnswerFault) {
            for part in parts {
                reader.feed(part)
                while let answer = try reader.next() { reading.answers.append(answer) }
            }
            if let last = try reader.end() { reading.answers.append(last) }
        } catch {
            reading.fault = error
        }
        return reading
    }
}
