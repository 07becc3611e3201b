// SPDX-License-Identifier: Apache-2.0

import COpenSSL

/// The TLS settings of a listener: certificates, policy, ticket keys. Immutable; a reload creates a new context.
///
/// Existing connections keep their context.
package final class TLSContext: Sendable {
    /// Warnings about certificates that aren't valid or expire within 30 days, as of the initialization.
    package let warnings: [TLSWarning]
    private let dates: [CertificateDates]
    /// The certificates in the order of the settings.
    package let certificates: [TLSCertificateSummary]

    let names: ServerNameTable<TLSCertificate.KeyKind>
    /// Retained for the callbacks of `groups`.
    private let ticketKeys: TLSTicketKeys
    /// One `SSL_CTX` for each group of `names`, at least the default, which is the first. Never modified after `init`, and OpenSSL allows
    /// `SSL_new` and `SSL_set_SSL_CTX` on such a context on any thread.
    nonisolated(unsafe) let groups: [OpaquePointer]

    /// Reads and checks all files.
    ///
    /// - Parameters:
    ///   - ticketKeys: shared by all contexts of the process, so that tickets survive a reload.
    ///   - now: seconds since 1970, for the validity of the certificates.
    /// - Throws: all problems of all files.
    package init(_ settings: TLSSettings, ticketKeys: TLSTicketKeys, now: Int64) throws(TLSConfigurationError) {
        let (certificates, clients) = try Self.load(settings)
        let names = ServerNameTable(certificates.map { (names: $0.names, kind: $0.kind) })
        var groups: [OpaquePointer] = []
        do throws(TLSConfigurationError) {
            for group in names.groups {
                guard let context = SSL_CTX_new(TLS_server_method()) else {
                    throw TLSConfigurationError(path: nil, .unsupported(OpenSSLErrors.takeReason() ?? "no reason given"))
                }
                groups.append(context)
                try Self.configure(context, settings, ticketKeys)
                try clients.install(in: context)
                for index in group { try certificates[index].install(in: context) }
            }
        } catch {
            for context in groups { SSL_CTX_free(context) }
            throw error
        }
        self.warnings = certificates.compactMap { $0.warning(now: now) }
        self.dates = certificates.map(\.dates)
        self.certificates = certificates.map {
            TLSCertificateSummary(path: $0.files.certificate, names: $0.names, notBefore: $0.notBefore, notAfter: $0.notAfter)
        }
        self.names = names
        self.ticketKeys = ticketKeys
        self.groups = groups
        for context in groups {
            parley_SSL_CTX_set_tlsext_servername(context, chooseCertificate, Unmanaged.passUnretained(self).toOpaque())
        }
    }

    deinit {
        for context in groups { SSL_CTX_free(context) }
    }

    /// Returns the warnings as of `now`, because certificates expire while in use.
    package func warnings(now: Int64) -> [TLSWarning] { dates.compactMap { $0.warning(now: now) } }

    /// The certificates in use: the path of each file, and the end of its validity in seconds since 1970.
    package var expiries: [(path: String, notAfter: Int64)] { dates.map { ($0.path, $0.notAfter) } }

    /// Returns `nil` when OpenSSL is out of memory.
    func makeConnection(buffers: TLSBuffers) -> TLSConnection? {
        TLSConnection(sslContext: groups[0], keeping: self, isServer: true, buffers: buffers)
    }

    private static func load(_ settings: TLSSettings) throws(TLSConfigurationError) -> ([TLSCertificate], ClientAuthority) {
        var problems: [TLSConfigurationError.Problem] = []
        if settings.certificates.isEmpty { problems.append(.init(path: nil, reason: .noCertificates)) }
        var certificates: [TLSCertificate] = []
        for files in settings.certificates {
            do throws(TLSConfigurationError) {
                certificates.append(try TLSCertificate(files))
            } catch {
                problems += error.problems
            }
        }
        var clients: ClientAuthority?
        do throws(TLSConfigurationError) {
            clients = try ClientAuthority(settings)
        } catch {
            problems += error.problems
        }
        guard problems.isEmpty, let clients else { throw TLSConfigurationError(problems: problems) }
        return (certificates, clients)
    }

    private static func configure(
        _ context: OpaquePointer, _ settings: TLSSettings, _ ticketKeys: TLSTicketKeys
    ) throws(TLSConfigurationError) {
        if let reason = TLSPolicy.apply(to: context, minimumVersion: settings.minimumVersion) {
            throw TLSConfigurationError(path: nil, .unsupported(reason))
        }
        // Stateless tickets instead of a session cache; one ticket, because a client opens one connection.
        _ = parley_SSL_CTX_set_session_cache_mode(context, Int(SSL_SESS_CACHE_OFF))
        SSL_CTX_set_timeout(context, ticketKeys.lifetime)
        // Our tickets don't permit early data, so any early data belongs to another server's ticket and is skipped (RFC 8446 §4.2.10).
        guard SSL_CTX_set_num_tickets(context, 1) == 1, SSL_CTX_set_max_early_data(context, 0) == 1,
            SSL_CTX_set_recv_max_early_data(context, UInt32(TLSConnection.maxSkippedEarlyData)) == 1, ticketKeys.install(in: context)
        else { throw TLSConfigurationError(path: nil, .unsupported(OpenSSLErrors.takeReason() ?? "no reason given")) }
        SSL_CTX_set_alpn_select_cb(context, chooseApplicationProtocol, nil)
    }
}

/// Called by OpenSSL to select the certificate by SNI; must not trap.
private func chooseCertificate(
    ssl: OpaquePointer?, alert: UnsafeMutablePointer<Int32>?, argument: UnsafeMutableRawPointer?
) -> Int32 {
    guard let ssl, let argument, let name = SSL_get_servername(ssl, TLSEXT_NAMETYPE_host_name) else { return SSL_TLSEXT_ERR_NOACK }
    let context = Unmanaged<TLSContext>.fromOpaque(argument).takeUnretainedValue()
    // An unknown name gets the default certificate; the client decides whether to accept it.
    guard let group = context.names.group(for: String(cString: name)), context.groups.indices.contains(group) else {
        return SSL_TLSEXT_ERR_NOACK
    }
    if group != 0, SSL_set_SSL_CTX(ssl, context.groups[group]) == nil { return SSL_TLSEXT_ERR_NOACK }
    return SSL_TLSEXT_ERR_OK
}

/// Called by OpenSSL when the client offers protocols (RFC 7301 §3.2); must not trap. Only `http/1.1` is supported; other offers are
/// rejected with `no_application_protocol`.
private func chooseApplicationProtocol(
    ssl: OpaquePointer?, chosen: UnsafeMutablePointer<UnsafePointer<UInt8>?>?, chosenCount: UnsafeMutablePointer<UInt8>?,
    offered: UnsafePointer<UInt8>?, offeredCount: UInt32, argument: UnsafeMutableRawPointer?
) -> Int32 {
    let supported: StaticString = "http/1.1"
    guard let chosen, let chosenCount, let offered else { return SSL_TLSEXT_ERR_ALERT_FATAL }
    let list = UnsafeBufferPointer(start: offered, count: Int(offeredCount))
    var index = 0
    while index < list.count {
        let start = index + 1
        let end = start + Int(list[index])
        guard end <= list.count else { return SSL_TLSEXT_ERR_ALERT_FATAL }
        if supported.withUTF8Buffer({ $0.elementsEqual(list[start..<end]) }) {
            chosen.pointee = offered + start
            chosenCount.pointee = list[index]
            return SSL_TLSEXT_ERR_OK
        }
        index = end
    }
    return SSL_TLSEXT_ERR_ALERT_FATAL
}
