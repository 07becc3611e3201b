import COpenSSL

extension TLSTicketKeys {
    /// Lets a context seal and open its tickets with these keys. The caller keeps them alive as long as the context.
    func install(in context: OpaquePointer) -> Bool {
        SSL_CTX_set_ex_data(context, 0, Unmanaged.passUnretained(self).toOpaque()) == 1
            && SSL_CTX_set_tlsext_ticket_key_evp_cb(context, ticketKeyCallback) == 1
    }
}

/// What OpenSSL wants to hear about a ticket.
private enum Answer {
    static let failed: Int32 = -1
    /// Not ours, or too old: a full handshake follows.
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
    else { return Answer.failed }
    let keys = Unmanaged<TLSTicketKeys>.fromOpaque(data).takeUnretainedValue()
    if isSealing == 1 {
        guard var key = keys.current(), RAND_bytes(vector, EVP_CIPHER_get_iv_length(EVP_aes_256_cbc())) == 1 else { return Answer.failed }
        UnsafeMutableRawBufferPointer(start: name, count: TLSTicketKeys.Key.nameSize).copyBytes(from: key.name)
        guard EVP_EncryptInit_ex(cipher, EVP_aes_256_cbc(), nil, key.cipher, vector) == 1,
            parley_hmac_sha256(mac, &key.mac, key.mac.count) == 1
        else { return Answer.failed }
        return Answer.known
    }
    let (found, answer): (TLSTicketKeys.Key, Int32)
    switch keys.find(UnsafeRawBufferPointer(start: name, count: TLSTicketKeys.Key.nameSize)) {
    case .current(let key): (found, answer) = (key, Answer.known)
    case .previous(let key): (found, answer) = (key, Answer.renew)
    case .unknown: return Answer.unknown
    }
    var key = found
    guard parley_hmac_sha256(mac, &key.mac, key.mac.count) == 1,
        EVP_DecryptInit_ex(cipher, EVP_aes_256_cbc(), nil, key.cipher, vector) == 1
    else { return Answer.failed }
    return answer
}
