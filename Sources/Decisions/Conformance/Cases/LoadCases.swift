// SPDX-License-Identifier: Apache-2.0
import XKSCalls
import XKSProtocol

extension ConformanceCase {
    static let load: [ConformanceCase] = [
        ConformanceCase(
            "load-parallel", .load, .must, Section.operations,
            "Twenty connections at a time get their own answers: no two are mixed up",
            [
                .parallel(
                    20,
                    (0..<3).flatMap { _ in
                        [
                            CaseStep.encrypt { $0.plaintext += [UInt8(truncatingIfNeeded: $0.lane), 1, 2, 3] },
                            .decrypt(),
                        ]
                    })
            ]),
        ConformanceCase(
            "load-idle-connections", .load, .hardening, Section.content,
            "Thirty connections that say nothing do not keep others from being served", [.hold(30, ""), .health()]),
        ConformanceCase(
            "load-slow-heads", .load, .hardening, Section.content,
            "Thirty requests that do not go on do not keep others from being served",
            [.hold(30, "POST /kms/xks/v1/health HTTP/1.1\r\nhost: "), .health(), .encrypt(), .decrypt()]),
        ConformanceCase(
            "load-slow-bodies", .load, .hardening, Section.content,
            "Thirty bodies that do not come do not keep others from being served",
            [
                .hold(30, "POST /kms/xks/v1/health HTTP/1.1\r\nhost: certify\r\ncontent-length: 9000\r\n\r\n{"),
                .health(), .encrypt(), .decrypt(),
            ]),
        ConformanceCase(
            "load-cut-heads", .load, .hardening, Section.content, "Connections that are cut within a head are survived",
            (0..<5).map { _ in .cut(DraftRequest(.encrypt), percent: 10) } + [.health()]),
        ConformanceCase(
            "load-cut-bodies", .load, .hardening, Section.content,
            "Connections that are cut within a body are survived",
            (0..<5).map { _ in .cut(DraftRequest(.encrypt), percent: 80) } + [.health()]),
        ConformanceCase(
            "load-cut-answers", .load, .hardening, Section.content,
            "Connections that are cut before their answers are survived",
            (0..<5).map { _ in .cut(DraftRequest(.encrypt), percent: 100) } + [.encrypt(), .decrypt()]),
        ConformanceCase(
            "load-length-too-great", .load, .hardening, Section.http1("6.3"),
            "A body that is shorter than its length is not taken for whole",
            [
                .cut(DraftRequest(.encrypt) { $0.framing = .lengthOff(100) }, percent: 100), .health(),
            ]),
        ConformanceCase(
            "load-length-too-small", .load, .must, Section.http1("6.3"),
            "A body that is longer than its length is cut there: its signature is wrong",
            [
                .encrypt(.refusedOrClosed) { $0.framing = .lengthOff(-10) }, .reconnect, .health(),
            ]),
        ConformanceCase(
            "load-many-on-one", .load, .should, Section.http1("9.3"), "Fifty requests on one connection are answered",
            (0..<50).map { _ in .health(.keptOpen) }),
    ]
}
