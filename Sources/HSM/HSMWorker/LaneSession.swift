// SPDX-License-Identifier: Apache-2.0
import LaneProtocol
import PKCS11
import SecondOpinion

/// Where a key of the catalogue is now.
package enum KeyHandle: Sendable, Equatable {
    case at(ObjectHandle)
    /// The label is there, but under another number: the object was replaced, or a new login gave new handles.
    case moved
    case gone
}

/// Everything a lane does to the outside, so that its decisions can be tested with a scripted HSM.
/// All calls block; all come from the lane's own thread.
package protocol LaneSession {
    mutating func encrypt(_ call: GCMCall) -> CallResult
    mutating func decrypt(_ call: GCMCall) -> CallResult
    /// Fills `target` from the HSM's generator.
    mutating func random(into target: UnsafeMutableRawBufferPointer) -> CallResult
    /// Decrypts a ciphertext made with the probe key, on this very session, and compares.
    mutating func knownAnswer() -> KnownAnswer
    /// Closes the session, if there is one, and opens another. After a failure there is none.
    mutating func reopen() -> CallResult
    /// Closes the session, if there is one.
    mutating func close()
    /// Makes sure that the token's login stands, logging in again where it does not.
    mutating func restoreLogin() -> CallResult
    /// False when the session says that nobody is logged in although somebody should be.
    mutating func loginStands() -> Bool
    /// Where the key is to which the catalogue gave this number.
    func handle(ofKey reference: UInt32) -> KeyHandle
    /// A handle of the catalogue led nowhere: the catalogue is out of date.
    func catalogueIsStale()
    /// The generator gave an IV of zeroes, or one that was used before.
    func generatorIsBroken()
    /// CLOCK_MONOTONIC, nanoseconds.
    func now() -> UInt64
}
