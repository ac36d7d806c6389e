// SPDX-License-Identifier: Apache-2.0
import Glibc

/// Where the components of a development cluster listen. The nodes are on the loopback interface; only the load
/// balancer is where `--listen` says.
struct DevAddresses: Equatable {
    struct Node: Equatable {
        var xks: Int
        var control: Int
        var cluster: Int
    }

    /// `host:port`, for clients.
    var endpoint: String
    var nodes: [Node]

    /// Ports beside those of the two listeners: node K has `listen` + K for KMS, `controlListen` + K and, ten above
    /// that, one for its peers. Where the system is to choose (port 0), it chooses all.
    static func choose(_ options: DevOptions) throws -> DevAddresses {
        let listen = try port(of: options.listen, option: "--listen")
        let control = try port(of: options.controlListen, option: "--control")
        if listen == 0 || control == 0 { return try free(options) }
        let nodes = (1...options.nodes).map {
            Node(xks: listen + $0, control: control + $0, cluster: control + 10 + $0)
        }
        let all = [listen] + nodes.flatMap { [$0.xks, $0.control, $0.cluster] }
        guard Set(all).count == all.count, all.allSatisfy((1...65535).contains) else {
            throw DevError(
                "A cluster takes the \(options.nodes) ports after that of --listen, and those up to 20 after that of "
                    + "--control: choose two that are further apart, and below 65516.")
        }
        return DevAddresses(endpoint: options.listen, nodes: nodes)
    }

    private static func free(_ options: DevOptions) throws -> DevAddresses {
        let listen = try port(of: options.listen, option: "--listen")
        let ports = try freePorts(options.nodes * 3 + 1)
        let nodes = (0..<options.nodes).map { index in
            Node(xks: ports[index * 3 + 1], control: ports[index * 3 + 2], cluster: ports[index * 3 + 3])
        }
        let host = options.listen.lastIndex(of: ":").map { options.listen[..<$0] } ?? ""
        return DevAddresses(endpoint: "\(host):\(listen == 0 ? ports[0] : listen)", nodes: nodes)
    }

    private static func port(of address: String, option: String) throws -> Int {
        guard let colon = address.lastIndex(of: ":"), let port = Int(address[address.index(after: colon)...]),
            (0...65535).contains(port)
        else { throw DevError("\(address.debugDescription) is not an address and a port (\(option)).") }
        return port
    }

    /// Different ports that nobody listens at, at the moment: sockets are bound to all of them before the first is
    /// given up.
    private static func freePorts(_ count: Int) throws -> [Int] {
        var descriptors: [Int32] = []
        defer { for descriptor in descriptors { close(descriptor) } }
        return try (0..<count).map { _ in
            let descriptor = socket(AF_INET, Int32(SOCK_STREAM.rawValue) | Int32(SOCK_CLOEXEC.rawValue), 0)
            guard descriptor >= 0 else {
                throw DevError("No socket is to be had: \(String(cString: strerror(errno))).")
            }
            descriptors.append(descriptor)
            var address = sockaddr_in()
            address.sin_family = sa_family_t(AF_INET)
            address.sin_addr.s_addr = UInt32(0x7F00_0001).bigEndian
            var size = socklen_t(MemoryLayout<sockaddr_in>.size)
            let isBound = withUnsafeMutablePointer(to: &address) { pointer in
                pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                    bind(descriptor, $0, size) == 0 && getsockname(descriptor, $0, &size) == 0
                }
            }
            guard isBound else { throw DevError("No port is to be had: \(String(cString: strerror(errno))).") }
            return Int(UInt16(bigEndian: address.sin_port))
        }
    }
}
