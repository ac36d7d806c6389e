// SPDX-License-Identifier: Apache-2.0
import Conformance
import Mustache

/// A report as one HTML page that needs nothing else: no script, no font, no picture. What comes from the proxy is escaped.
package struct ReportPage: Sendable {
    private let template: MustacheTemplate

    /// Throws where the template, which is a part of the program, is wrong.
    package init() throws {
        template = try MustacheTemplate(string: String(decoding: PackageResources.report_html_mustache, as: UTF8.self))
    }

    /// The page in UTF-8.
    package func html(_ report: ConformanceReport) -> String {
        var fields: [String: Any] = [
            "verdict": report.verdict, "state": report.conforms ? "passed" : "failed", "url": report.url,
            "key": report.key, "accessKeyID": report.accessKeyID, "region": report.region, "begun": report.begun,
            "seconds": "\(report.seconds)", "program": report.program, "specification": report.specification,
            "proxy": report.proxy.isEmpty ? "not told" : report.proxy,
        ]
        fields["counts"] = CaseResult.Outcome.allCases.map { ["name": $0.rawValue, "count": "\(report.count($0))"] }
        fields["groups"] = CaseGroup.allCases.compactMap { group -> [String: Any]? in
            let cases = report.results.filter { $0.group == group }
            return cases.isEmpty ? nil : ["name": group.rawValue, "cases": cases.map(Self.fields)]
        }
        fields["unseen"] = report.unseen.map {
            ["level": $0.level.rawValue, "section": $0.section, "title": $0.title]
        }
        return template.render(fields)
    }

    private static func fields(_ result: CaseResult) -> [String: Any] {
        var fields: [String: Any] = [
            "id": result.id, "level": result.level.rawValue, "section": result.section, "title": result.title,
            "outcome": result.outcome.rawValue,
        ]
        if let expected = result.expected { fields["expected"] = expected }
        if let seen = result.seen { fields["seen"] = seen }
        return fields
    }
}
