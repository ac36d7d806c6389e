// SPDX-License-Identifier: Apache-2.0
import NodeConfig

// What becomes of the tables `pkcs11`, `pkcs11_logger` and `hsm_capabilities`.

extension SettingsTranslation {
    private static let hsmName = "hsm-1"
    /// Longest secret that Claviger reads, bytes.
    private static let longestSecret = 4_096

    mutating func translate(pkcs11: SettingsTable, logger: SettingsTable?) {
        noteOthers(
            of: pkcs11,
            than: [
                "session_pool_max_size", "session_pool_timeout_milli", "session_eager_close", "user_pin",
                "PKCS11_HSM_MODULE", "context_read_timeout_milli",
            ])
        hsm.set("name", ConfigurationText.quoted(Self.hsmName))
        translateModule(of: pkcs11, logger: logger)
        translateToken(of: pkcs11)
        translatePIN(of: pkcs11)
        if let sessions = clamped(pkcs11, "session_pool_max_size", 1...1_024, largest: Int(UInt32.max)) {
            hsm.set("sessions", "\(sessions)")
        }
        let dropped = [
            (
                "session_pool_timeout_milli",
                "left out: a request waits for a session within `request_deadline` of [xks], and takes another HSM where "
                    + "there is one"
            ),
            ("session_eager_close", "left out: sessions stay open, and one that was lost is opened anew"),
            (
                "context_read_timeout_milli",
                "left out: the library has a process of its own, which is replaced where it hangs (`stuck_after`)"
            ),
        ]
        for (key, text) in dropped where pkcs11.has(key) { note(.told, pkcs11, key, text) }
    }

    private mutating func translateModule(of pkcs11: SettingsTable, logger: SettingsTable?) {
        guard let module = path(pkcs11, "PKCS11_HSM_MODULE") else { return }
        let name = pkcs11.text("PKCS11_HSM_MODULE")?.split(separator: "/").last ?? ""
        guard name.contains("pkcs11-logger") else {
            hsm.set("module", module)
            note(
                .told, pkcs11, "PKCS11_HSM_MODULE",
                "where the environment of the reference proxy sets a variable of this name (its systemd unit, for example), "
                    + "that one counted: look there")
            if let logger {
                note(
                    .told, logger, "PKCS11_LOGGER_LIBRARY_PATH",
                    "left out, with all of [pkcs11_logger]: the module is not the logger")
            }
            return
        }
        guard let logger else {
            return pkcs11.report(
                "PKCS11_HSM_MODULE",
                "is the PKCS#11 logger, and there is no table pkcs11_logger that names the library",
                fix: "name the vendor's library in its place")
        }
        noteOthers(
            of: logger,
            than: ["PKCS11_LOGGER_LIBRARY_PATH", "PKCS11_LOGGER_LOG_FILE_PATH", "PKCS11_LOGGER_FLAGS"])
        if let library = path(logger, "PKCS11_LOGGER_LIBRARY_PATH") { hsm.set("module", library) }
        note(
            .told, pkcs11, "PKCS11_HSM_MODULE",
            "the PKCS#11 logger is left out, and the library behind it is the module: the logger writes what goes to the HSM, "
                + "plaintext and PIN included, to a file. Which call failed with which code stands in Claviger's own log"
        )
    }

    private mutating func translateToken(of pkcs11: SettingsTable) {
        if let label = options.tokenLabel {
            hsm.set("token", "{ label = \(ConfigurationText.quoted(label)) }")
            return
        }
        hsm.set("token", "{ slot = 0 }")
        notes.append(
            ImportNote(
                kind: .toDo, line: nil, setting: "pkcs11", value: nil,
                text: "names no token: the reference proxy takes the first slot that the library lists. "
                    + "`claviger hsm list MODULE` shows them; write the token's label, token = { label = \"…\" }, in place of "
                    + "slot 0, or give it by --token"))
    }

    private mutating func translatePIN(of pkcs11: SettingsTable) {
        guard let pin = pkcs11.requiredText("user_pin") else { return }
        guard pin.utf8.count <= Self.longestSecret else {
            return pkcs11.report(
                "user_pin", "is longer than \(Self.longestSecret) bytes", fix: "correct it", isSecret: true)
        }
        guard !pin.isEmpty else {
            notes.append(
                ImportNote(
                    kind: .told, line: outline.line(of: pkcs11.path(of: "user_pin")), setting: "pkcs11.user_pin",
                    value: nil, text: "is empty, so nothing logs in"))
            return
        }
        hsm.set("pin", keep(pin, as: "\(Self.hsmName).pin"))
    }

    mutating func translate(capabilities: SettingsTable) {
        noteOthers(of: capabilities, than: ["can_generate_iv", "is_zero_iv_required"])
        let makes = capabilities.boolean("can_generate_iv")
        let intoZeros = capabilities.boolean("is_zero_iv_required")
        guard let makes else { return }
        let profile =
            switch (makes, intoZeros ?? false) {
            case (false, _): "caller"
            case (true, true): "buffer"
            case (true, false): "appended"
            }
        note(
            .told, capabilities, "can_generate_iv",
            "left out, with is_zero_iv_required: how the HSM makes initialization vectors is found out at each start. These "
                + "settings correspond to profile = \"\(profile)\", which pins it")
    }
}
