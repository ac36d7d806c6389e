// SPDX-License-Identifier: Apache-2.0
import CPlatform
import LaneProtocol

/// Notes the call that this thread is about to make, in memory that outlives the process: should the library end it, the
/// node can say in which call. `Module.exclusively` takes the note back. One byte is written, and no call made.
@inline(__always)
func note(_ function: PKCS11Function) { claviger_note_call(function.rawValue) }
