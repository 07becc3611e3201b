// SPDX-License-Identifier: Apache-2.0

import COpenSSL

extension TLSTicketKeys {
    /// Makes a context seal and open tickets with these keys. The caller keeps the keys alive as long as the context.
    func install(in context: OpaquePointer) -> Bool {
        SSL_CTX_set_ex_data(context, 0, Unmanaged.passUnretained(self).toOpaque()) == 1
            && SSL_CTX_set_tlsext_ticket_key_evp_cb(context, ticketKeyCallback) == 1
            && SSL_CTX_set_session_ticket_cb(context, stampTicket, validateTicket, Unmanaged.passUnretained(self).toOpaque()) == 1
    }
}

/// The return values of OpenSSL's ticket key callback.
private enum Status {
    static let failed: Int32 = -1
    /// An unknown or expired key: a full handshake follows.
    static let unknown: Int32 = 0
    static let known: Int32 = 1
    static let renew: Int32 = 2
}

/// Called by OpenSSL to seal (`isSealing` 1) or open a ticket: AES-256-CBC and HMAC-SHA256 (RFC 5077 §4). Must not trap.
private func ticketKeyCallback(
    ssl: OpaquePointer?, name: UnsafeMutablePointer<UInt8>?, vector: UnsafeMutablePointer<UInt8>?, cipher: OpaquePointer?,
    mac: OpaquePointer?, isSealing: Int32
) -> Int32 {
    guard let ssl, let name, let vector, let cipher, let mac, let context = SSL_get_SSL_CTX(ssl),
        let data = SSL_CTX_get_ex_data(context, 0)
    else { return Status.failed }
    let keys = Unmanaged<TLSTicketKeys>.fromOpaque(data).takeUnretainedValue()
    if isSealing == 1 {
        guard var key = keys.current(), RAND_bytes(vector, EVP_CIPHER_get_iv_length(EVP_aes_256_cbc())) == 1 else { return Status.failed }
        UnsafeMutableRawBufferPointer(start: name, count: TLSTicketKeys.Key.nameSize).copyBytes(from: key.name)
        guard EVP_EncryptInit_ex(cipher, EVP_aes_256_cbc(), nil, key.cipher, vector) == 1,
            parley_hmac_sha256(mac, &key.mac, key.mac.count) == 1
        else { return Status.failed }
        return Status.known
    }
    let (found, result): (TLSTicketKeys.Key, Int32)
    switch keys.find(UnsafeRawBufferPointer(start: name, count: TLSTicketKeys.Key.nameSize)) {
    case .current(let key): (found, result) = (key, Status.known)
    case .previous(let key): (found, result) = (key, Status.renew)
    case .unknown: return Status.unknown
    }
    var key = found
    guard parley_hmac_sha256(mac, &key.mac, key.mac.count) == 1,
        EVP_DecryptInit_ex(cipher, EVP_aes_256_cbc(), nil, key.cipher, vector) == 1
    else { return Status.failed }
    return result
}

/// Called by OpenSSL before a ticket is sealed; must not trap. The ticket of a full handshake gets the time of that handshake, which the
/// tickets of later resumptions keep.
private func stampTicket(ssl: OpaquePointer?, argument: UnsafeMutableRawPointer?) -> Int32 {
    guard let ssl, let argument, let session = SSL_get_session(ssl) else { return 0 }
    if handshakeTime(of: session) != nil { return 1 }
    let keys = Unmanaged<TLSTicketKeys>.fromOpaque(argument).takeUnretainedValue()
    // If this fails, the ticket has no time and is never resumed.
    _ = withUnsafeBytes(of: keys.handshakeTime) { SSL_SESSION_set1_ticket_appdata(session, $0.baseAddress, $0.count) }
    return 1
}

/// Called by OpenSSL with an opened ticket or the reason why there is none; must not trap.
///
/// TLS 1.3 clients use a ticket once (RFC 8446 §C.4), so each resumption issues a new one.
private func validateTicket(
    ssl: OpaquePointer?, session: OpaquePointer?, name: UnsafePointer<UInt8>?, nameCount: Int, status: SSL_TICKET_STATUS,
    argument: UnsafeMutableRawPointer?
) -> SSL_TICKET_RETURN {
    switch status {
    case SSL_TICKET_SUCCESS, SSL_TICKET_SUCCESS_RENEW: break
    case SSL_TICKET_EMPTY, SSL_TICKET_NO_DECRYPT: return SSL_TICKET_RETURN_IGNORE_RENEW
    default: return SSL_TICKET_RETURN_IGNORE
    }
    guard let ssl, let session, let argument else { return SSL_TICKET_RETURN_IGNORE_RENEW }
    let keys = Unmanaged<TLSTicketKeys>.fromOpaque(argument).takeUnretainedValue()
    guard let begun = handshakeTime(of: session), keys.mayResume(handshakeAt: begun), !hasExpiredPeer(session, keys) else {
        return SSL_TICKET_RETURN_IGNORE_RENEW
    }
    return status == SSL_TICKET_SUCCESS_RENEW || SSL_version(ssl) == TLS1_3_VERSION ? SSL_TICKET_RETURN_USE_RENEW : SSL_TICKET_RETURN_USE
}

private func handshakeTime(of session: OpaquePointer) -> UInt64? {
    var data: UnsafeMutableRawPointer?
    var count = 0
    guard SSL_SESSION_get0_ticket_appdata(session, &data, &count) == 1, let data, count == MemoryLayout<UInt64>.size else { return nil }
    return data.loadUnaligned(as: UInt64.self)
}

/// Returns whether the session began with a client certificate that has expired.
private func hasExpiredPeer(_ session: OpaquePointer, _ keys: TLSTicketKeys) -> Bool {
    guard let certificate = SSL_SESSION_get0_peer(session) else { return false }
    var end: Int64 = 0
    guard let notAfter = X509_get0_notAfter(certificate), parley_unix_time(notAfter, &end) == 1 else { return true }
    return end <= keys.wall()
}
