// SPDX-License-Identifier: Apache-2.0
import LaneProtocol
import PKCS11
import SecureMemory
import StatusVocabulary

/// What a PKCS#11 library shows: slots, tokens, keys and the mechanisms that matter here.
package struct HSMListing: Sendable, Equatable {
    /// A key, as it is on the token.
    package struct Key: Sendable, Equatable {
        /// CKA_LABEL; `nil` when it cannot be read.
        package var label: KeyLabel?
        /// CKA_ID in hexadecimal.
        package var id: String
        /// `nil` when the token does not say.
        package var bits: Int?
        package var usage: KeyUsage
        /// Why it cannot serve, where reading it shows that already; empty otherwise.
        package var problem = ""
    }

    package struct Slot: Sendable, Equatable {
        package var slot: UInt64
        package var description: String
        package var token: TokenDescription?
        /// CKM_AES_GCM; `nil` without a token, or when the token does not list its mechanisms.
        package var hasGCM: Bool?
        /// CKM_AES_KEY_GEN: whether probes can have a key of their own.
        package var generatesKeys: Bool?
        /// Number of all mechanisms.
        package var mechanismCount: Int
        /// The AES keys that can be seen.
        package var keys: [Key]
        /// True when `keys` were read after a login.
        package var isLoggedIn: Bool
        /// What went wrong while looking at the token; empty when nothing did.
        package var problem: String
    }

    package var module: String
    package var library: ModuleInformation
    package var slots: [Slot]

    /// Loads the library into this process and looks. With `login`, logs in to the one token that the selector means;
    /// no other token ever sees the PIN. `initializeArguments` is passed to C_Initialize as `pReserved`.
    ///
    /// - Throws: `WorkerFailure` with a sentence for people: library not usable, token not found, PIN refused.
    package static func read(
        module path: String, initializeArguments: String? = nil,
        login: (token: TokenSelector, pin: SecretBytes)? = nil
    ) throws(WorkerFailure) -> HSMListing {
        let module = try OpenToken.load(path, initializeArguments: initializeArguments)
        defer { try? module.finalize() }
        let slots: [SlotDescription]
        let library: ModuleInformation
        do {
            library = try module.information()
            slots = try module.slots()
        } catch {
            throw .call(error, doing: "listing the slots of \(path)")
        }
        var loginSlot: UInt64?
        if let login {
            do {
                loginSlot = try login.token.choose(among: slots.compactMap(\.token)).identity.slot
            } catch {
                throw .token(error, module: path)
            }
        }
        var listed: [Slot] = []
        for slot in slots {
            let pin = slot.slot == loginSlot ? login?.pin : nil
            listed.append(try describe(slot, module: module, pin: pin))
        }
        return HSMListing(module: path, library: library, slots: listed)
    }

    private static func describe(
        _ slot: SlotDescription, module: Module, pin: SecretBytes?
    ) throws(WorkerFailure) -> Slot {
        var listed = Slot(
            slot: slot.slot, description: slot.description, token: slot.token, hasGCM: nil, generatesKeys: nil,
            mechanismCount: 0, keys: [], isLoggedIn: false, problem: "")
        guard let token = slot.token else { return listed }
        if let mechanisms = try? module.mechanisms(ofSlot: slot.slot) {
            listed.hasGCM = mechanisms.contains(.aesGCM)
            listed.generatesKeys = mechanisms.contains(.aesKeyGeneration)
            listed.mechanismCount = mechanisms.count
        }
        guard token.flags.contains(.initialized) else { return listed }
        if pin != nil, token.flags.contains(.pinLocked) { throw .locked(token.identity) }
        do {
            let session = try Session.open(module, slot: slot.slot)
            defer { try? session.close() }
            if let pin {
                do throws(PKCS11Error) {
                    try session.login(pin: pin)
                } catch {
                    throw WorkerFailure.login(error, token: token.identity)
                }
                listed.isLoggedIn = true
            }
            let found = try session.aesKeys(atMost: KeyReader.mostObjects)
            listed.keys = found.keys.map(Key.init) + found.unreadable.map(Key.init)
        } catch let failure as WorkerFailure {
            throw failure
        } catch {
            listed.problem = "its keys cannot be listed: \(error)"
        }
        return listed
    }
}

extension HSMListing.Key {
    init(_ key: KeyDescription) {
        self.init(
            label: key.label, id: hexadecimal(key.id),
            // A token may say anything.
            bits: key.size.map { $0.multipliedReportingOverflow(by: 8) }.flatMap {
                $0.overflow ? nil : $0.partialValue
            },
            usage: key.usage)
        if !key.strangeLabel.isEmpty { problem = "label is no UTF-8: \(hexadecimal(key.strangeLabel.prefix(64)))" }
    }

    fileprivate init(_ key: UnreadableKey) {
        self.init(label: key.label, id: hexadecimal(key.id), bits: nil, usage: [])
        problem = "\(key.attribute) cannot be read: \(key.code.name)"
    }
}
