// SPDX-License-Identifier: Apache-2.0
import CPlatform
import Glibc
import SecureMemory

/// Page-aligned memory for secrets in use: in no core dump, zeroes in a forked child, overwritten at the end.
package final class PrivatePages {
    package let bytes: UnsafeMutableRawBufferPointer

    /// Rounds up to whole pages; `nil` when there is no memory.
    package init?(byteCount: Int) {
        let page = 4096
        let length = (max(byteCount, 1) + page - 1) / page * page
        guard let base = claviger_map_private_pages(length) else { return nil }
        bytes = UnsafeMutableRawBufferPointer(start: base, count: length)
    }

    deinit {
        wipe(bytes)
        munmap(bytes.baseAddress, bytes.count)
    }
}
