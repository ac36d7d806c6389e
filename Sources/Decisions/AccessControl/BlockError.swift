// SPDX-License-Identifier: Apache-2.0

/// Why an order to block or to lift cannot be carried out. Each case names the value; the description says what mends
/// it.
package enum BlockError: Error, Equatable, Sendable {
    case noTarget
    case severalTargets([String])
    case keyStore(AccessControlError)
    case keyForm(String, problem: String)
    case principalForm(String, problem: String)
    case reasonForm(problem: String)
    case nameForm(String, problem: String)
    case idForm(String)
    case timeForm(seconds: Int64)
    case expiryForm(seconds: Int64)
    case repeatedID(String)
    case full(blocks: Int, bytes: Int)
    case noSuchBlock(id: String)
    case ambiguousID(String, matches: Int)
    case nothingToLift(BlockTarget)
}

extension BlockError: CustomStringConvertible {
    package var description: String {
        switch self {
        case .noTarget:
            "Nothing to block is named; give one of --key, --keystore, --principal and --all."
        case .severalTargets(let options):
            "Several things are named at once (\(options.joined(separator: ", "))); give one order for each."
        case .keyStore(let error):
            "The key store cannot be: \(error)"
        case .keyForm(let key, let problem):
            "Key \"\(key)\" \(problem)."
        case .principalForm(let pattern, let problem):
            "Principal pattern \"\(pattern)\" \(problem)."
        case .reasonForm(let problem):
            "The reason \(problem); say in 1 to \(Block.longestReason) bytes of printable text why."
        case .nameForm(let name, let problem):
            "The name \"\(name)\" of who orders it \(problem); 1 to \(Block.longestName) bytes of printable text fit."
        case .idForm(let id):
            "\"\(id)\" is no block's id; it has 32 digits of 0-9 and a-f, of which the first 8 are enough where they "
                + "name one block. `claviger blocks` lists them."
        case .timeForm(let seconds):
            "The time \(seconds) is no Unix time in seconds between 0 and \(Block.latestTime); set the clock."
        case .expiryForm(let seconds):
            "It would end after \(seconds) seconds; give 1 second to 3650 days, or leave the expiry out."
        case .repeatedID(let id):
            "There is a block with the id \(id) already; order again, with another id."
        case .full(let blocks, let bytes):
            "The block list is full (\(blocks) of \(BlockList.mostBlocks) blocks, \(bytes) of "
                + "\(BlockList.mostOrderedBytes) bytes); block whole key stores, or everything with --all, which is "
                + "always possible. Blocks with an expiry make room 90 days after it."
        case .noSuchBlock(let id):
            "There is no block with the id \(id) in force; `claviger blocks` lists those that are."
        case .ambiguousID(let id, let matches):
            "\(matches) blocks have an id that begins with \(id); give all 32 digits."
        case .nothingToLift(let target):
            "Nothing blocks \(target.options); `claviger blocks` lists what is blocked, target by target."
        }
    }
}
