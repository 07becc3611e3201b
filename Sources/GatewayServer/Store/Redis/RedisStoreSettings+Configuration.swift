// SPDX-License-Identifier: Apache-2.0

package import GatewayCore
import GatewayRedis
import GatewayTLS

extension RedisStoreSettings {
    private static let maximumPasswordBytes = 4096
    /// How long a session remains in the store after the time in which it can be resumed. Longer than outages of a node or of the store.
    private static let reserve = Duration.seconds(3600)

    /// Creates the settings of a configuration with `store.kind: redis`. Reads the files of the password and certificates.
    ///
    /// - Parameter node: the id of this process
    /// - Throws: ``StoreError`` if a file can't be used
    package init(_ configuration: GatewayConfiguration, node: ULID) throws(StoreError) {
        let store = configuration.store
        let name = store.urls.map(\.description).joined(separator: ", ")
        let tls = RedisTLS(
            verification: store.authority.map { .authority(path: $0) } ?? .system,
            certificate: store.certificate.map { .init(certificate: $0.certificate, key: $0.key) })
        let password = try Self.password(store.passwordFile)
        let redis: RedisSettings
        do throws(RedisURLFault) {
            redis = try RedisSettings(
                urls: store.urls.map(\.url), tls: tls, user: store.user.isEmpty ? nil : store.user,
                password: password)
        } catch {
            throw StoreError(path: name, problem: "\(error)")
        }
        if redis.tls != nil {
            do throws(TLSConfigurationError) {
                _ = try tls.context(for: redis.endpoints.first?.host ?? "")
            } catch {
                throw StoreError(path: name, problem: "\(error)")
            }
        }
        self.init(redis: redis, name: name, node: node)
        prefix = store.prefix
        acknowledge = store.acknowledge
        replicas = store.replicas
        acknowledgeTimeout = store.acknowledgeTimeout
        sessionLifetime = configuration.sessions.resumeWindow + Self.reserve
        reportLifetime = configuration.reports.keep
    }

    /// Reads `store.password_file`. Line ends at the end of the file don't count.
    private static func password(_ path: String?) throws(StoreError) -> RedisPassword? {
        guard let path else { return nil }
        switch BoundedFile.read(path, limit: maximumPasswordBytes) {
        case .missing: throw StoreError(path: path, problem: "the file of `store.password_file` doesn't exist")
        case .unreadable(let reason): throw StoreError(path: path, problem: "the file of `store.password_file` can't be read: \(reason)")
        case .bytes(var bytes):
            while bytes.last == 0x0A || bytes.last == 0x0D { bytes.removeLast() }
            guard !bytes.isEmpty, let text = String(validating: bytes, as: UTF8.self) else {
                throw StoreError(path: path, problem: "the file of `store.password_file` must contain a password")
            }
            return RedisPassword(text)
        }
    }
}
