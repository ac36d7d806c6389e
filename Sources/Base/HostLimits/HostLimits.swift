// SPDX-License-Identifier: Apache-2.0
import CPlatform

/// What this process may have of its host.
package enum HostLimits {
    /// Beyond it the kernel's tables cost more than a node could use.
    private static let mostDescriptors: UInt64 = 1_048_576
    /// select(2) knows no descriptor from 1,024 on, and libraries of vendors use it.
    private static let librarysDescriptors: UInt64 = 1_024

    /// How many descriptors this process may have open; 0 when the system does not say.
    package static var descriptors: Int { Int(clamping: claviger_descriptor_limit()) }

    /// Raises that to what the system allows, at most 1,048,576. Where it cannot be raised it stays.
    package static func raiseDescriptors() {
        guard claviger_descriptor_limit() < mostDescriptors else { return }
        _ = claviger_set_descriptor_limit(mostDescriptors)
    }

    /// Takes back what a node raised for itself, in a process that is to load a vendor's library: 1,024 descriptors, and
    /// more only where those that it has been started with leave no room.
    package static func lowerDescriptorsForLibrary() {
        let least = max(librarysDescriptors, UInt64(claviger_first_free_descriptor()) + 256)
        guard claviger_descriptor_limit() > least else { return }
        _ = claviger_set_descriptor_limit(least)
    }
}
