// SPDX-License-Identifier: Apache-2.0
import NodeConfig

extension Translation {
    /// What can be said of a configuration by its file alone: nothing that it names is opened, and each secret counts as
    /// one of the right form.
    static func judge(_ configuration: NodeConfiguration) -> Diagnostics {
        let translation = Translation(secrets: .assumed(configuration.settings.secretSources), now: 0, isOffline: true)
        var diagnostics = Diagnostics(configuration)
        _ = translation.keyStores(&diagnostics)
        translation.advise(&diagnostics)
        return diagnostics
    }
}
