// SPDX-License-Identifier: Apache-2.0

/// Why the development environment cannot be made or used: one sentence with what failed and what mends it.
package struct DevError: Error, CustomStringConvertible {
    package let description: String

    package init(_ description: String) {
        self.description = description
    }
}
