// SPDX-License-Identifier: Apache-2.0
import AdminProtocol
import StatusVocabulary

/// The keys of this node: what may still be lost, what each HSM holds, and, where they may be named, each key on each HSM.
struct KeyView {
    /// Rows and columns of the matrix: the worst keys, and the HSMs that lack the most.
    static let mostRows = 100
    static let mostColumns = 16

    let status: NodeStatus
    let showsKeys: Bool

    /// `nil` where no key is offered.
    var fields: Fields? {
        guard !status.keys.isEmpty else { return nil }
        let spares = status.keys.map(status.spareHSMs(of:))
        var fields: Fields = ["spares": shares(spares), "held": held]
        if showsKeys { fields["matrix"] = matrix(spares) }
        return fields
    }

    // MARK: Counts

    private func shares(_ spares: [Int]) -> [Fields] {
        Dictionary(grouping: spares) { $0 }.sorted { $0.key < $1.key }.map { spare, keys in
            [
                "kind": Self.mark(spare).rawValue, "text": Self.words(spare), "count": PageText.grouped(keys.count),
                "share": PageText.tenths(Double(keys.count) * 100 / Double(spares.count)),
            ]
        }
    }

    private static func mark(_ spare: Int) -> Mark { spare < 0 ? .bad : spare == 0 ? .warn : .good }

    private static func words(_ spare: Int) -> String {
        switch spare {
        case ..<0: "not served here"
        case 0: "no further HSM is lost"
        case 1: "at most one HSM is lost"
        default: "at most \(spare) HSMs are lost"
        }
    }

    private var held: [Fields] {
        status.hsms.prefix(PageView.mostHSMs).map { hsm in
            let states = status.keys.compactMap { $0.cells[hsm.name] }
            func count(_ state: KeyState) -> String {
                let count = states.count { $0 == state }
                return count == 0 ? "" : PageText.grouped(count)
            }
            let (absent, different) = (count(.absent), count(.different))
            return [
                "name": hsm.name, "proven": count(.proven), "unproven": count(.unproven), "absent": absent,
                "absentKind": absent.isEmpty ? "" : Mark.warn.rawValue, "different": different,
                "differentKind": different.isEmpty ? "" : Mark.bad.rawValue, "unprovable": count(.unprovable),
            ]
        }
    }

    // MARK: Each key

    private func matrix(_ spares: [Int]) -> Fields {
        let lacking = Dictionary(
            status.hsms.map { hsm in (hsm.name, status.keys.count { $0.cells[hsm.name]?.isServing != true }) }
        ) { first, _ in first }
        let worst = status.hsms.map(\.name).sorted { (lacking[$1] ?? 0) < (lacking[$0] ?? 0) }.prefix(Self.mostColumns)
        let columns = status.hsms.map(\.name).filter(worst.contains)
        let order = status.keys.indices.sorted { gravity(of: $0, spares) < gravity(of: $1, spares) }
        let rows = order.prefix(Self.mostRows).map { index -> Fields in
            let (key, spare) = (status.keys[index], spares[index])
            return [
                "label": key.label, "cells": columns.map { Self.cell(key.cells[$0]) },
                "spare": spare < 0 ? "not served" : "\(spare)", "spareKind": spare > 0 ? "" : Self.mark(spare).rawValue,
                "remark": remark(of: key),
            ]
        }
        var fields: Fields = ["columns": columns, "rows": rows]
        let (moreRows, moreColumns) = (status.keys.count - rows.count, status.hsms.count - columns.count)
        let more =
            (moreRows > 0 ? [PageText.count(moreRows, "further key")] : [])
            + (moreColumns > 0 ? [PageText.count(moreColumns, "further HSM")] : [])
        if !more.isEmpty {
            fields["moreKeys"] = "… and \(more.joined(separator: ", ")): claviger status --json has all."
        }
        return fields
    }

    /// Keys that somebody must look at come first; the rest keeps its order.
    private func gravity(of index: Int, _ spares: [Int]) -> (Int, Int, Int) {
        (status.keys[index].isWhole ? 1 : 0, spares[index], index)
    }

    private static func cell(_ state: KeyState?) -> Fields {
        switch state {
        case .proven: ["style": "proven", "word": "proven"]
        case .unproven: ["style": "unproven", "word": "not yet proven"]
        case .absent: ["style": "absent", "word": "lacks it"]
        case .different: ["style": "different", "word": "another key"]
        case .unprovable: ["style": "unprovable", "word": "unprovable"]
        case nil: ["style": "none", "word": "not to serve it"]
        }
    }

    private func remark(of key: KeyStatus) -> String {
        ([key.disputed.map { "disputed, refused: \($0)" }].compactMap(\.self)
            + (key.mayDoNothing == true ? [KeyStatus.nothingAllowed] : []) + (key.complaints ?? []))
            .joined(separator: "; ")
    }
}
