import COpenSSL
import NIOCore

/// One `SSL` of OpenSSL between buffers: ciphertext is taken from `incoming`, plaintext comes out of ``read(into:)``, and what OpenSSL wants
/// to send lies in the loop's ``TLSBuffers`` after each call. Knows nothing of channels.
///
/// A class because OpenSSL's callbacks hold its address. Used on one event loop only.
final class TLSConnection {
    /// Bytes of a whole handshake, certificates of the client included. What's larger has no honest reason.
    static let maxHandshakeBytes = 64 * 1024
    /// Bytes of rejected early data that are skipped, in addition to the handshake. Servers that accept early data offer 16 KiB as a rule.
    static let maxSkippedEarlyData = 64 * 1024
    /// Record headers of the skipped early data.
    private static let earlyDataHeaders = 4 * 1024
    /// Handshake messages after the handshake (KeyUpdate, tickets) and refused renegotiations that come to each MiB of data, at most.
    /// OpenSSL bounds empty records and warnings by itself, but these cost us a derivation of keys or an answer and the sender nothing.
    static let maxPostHandshakeMessages = 32
    private static let floodWindow = 1024 * 1024

    enum HandshakeProgress {
        case wantsMore
        case done
        case failed(TLSError)
    }

    enum ReadProgress {
        /// All that was there is decrypted.
        case drained
        /// The buffer is full; call again.
        case full
        /// close_notify.
        case closed
        case failed(TLSError)
    }

    let buffers: TLSBuffers
    /// Received and not yet taken by OpenSSL.
    var incoming = ByteBuffer()
    /// Bytes of a record that OpenSSL has taken and that isn't complete yet.
    private(set) var partialRecordBytes = 0
    private(set) var isEstablished = false

    private let ssl: OpaquePointer
    /// What the `SSL` points to, kept alive.
    private let context: AnyObject
    private var handshakeBytes = 0
    private var postHandshakeMessages = 0
    private var bytesInWindow = 0
    private var isFlooded = false
    private var alert: TLSAlert?

    /// `context` keeps alive what callbacks of the `SSL_CTX` refer to. `nil` when OpenSSL has no memory.
    init?(sslContext: OpaquePointer, keeping context: AnyObject, isServer: Bool, buffers: TLSBuffers) {
        OpenSSLErrors.clear()
        guard let ssl = SSL_new(sslContext) else { return nil }
        self.ssl = ssl
        self.context = context
        self.buffers = buffers
        // After the last stored property: from here on a failure runs `deinit`, which frees the SSL.
        guard let bio = TLSTransport.makeBIO(for: self) else { return nil }
        SSL_set_bio(ssl, bio, bio)
        SSL_set_msg_callback(ssl, observe)
        parley_SSL_set_msg_callback_arg(ssl, Unmanaged.passUnretained(self).toOpaque())
        if isServer { SSL_set_accept_state(ssl) } else { SSL_set_connect_state(ssl) }
    }

    deinit {
        SSL_free(ssl)
    }

    /// Lets a client ask for a name and check it: see ``TLSClientContext``.
    func withSSL<Result>(_ body: (OpaquePointer) -> Result) -> Result {
        body(ssl)
    }

    // MARK: Steps

    func handshake() -> HandshakeProgress {
        OpenSSLErrors.clear()
        let result = SSL_do_handshake(ssl)
        if result == 1 {
            isEstablished = true
            partialRecordBytes = 0
            alert = nil
            return .done
        }
        if isFlooded {
            return .failed(.handshakeFailed(reason: "a handshake of more than \(Self.maxHandshakeBytes) bytes", alert: alert))
        }
        switch SSL_get_error(ssl, result) {
        case SSL_ERROR_WANT_READ, SSL_ERROR_WANT_WRITE:
            return .wantsMore
        case SSL_ERROR_ZERO_RETURN:
            return .failed(.closedDuringHandshake)
        default:
            return .failed(.handshakeFailed(reason: takeReason(), alert: alert))
        }
    }

    /// Decrypts into the free space of `buffer`, as many records as fit.
    func read(into buffer: inout ByteBuffer) -> ReadProgress {
        while true {
            if buffer.writableBytes == 0 {
                // A record may be larger than a buffer that was made for the bytes of one read: part of it came before.
                let rest = Int(SSL_pending(ssl))
                guard buffer.readableBytes < TLSBuffers.capacity else { return .full }
                buffer.reserveCapacity(minimumWritableBytes: max(rest, 1024))
            }
            OpenSSLErrors.clear()
            var result: Int32 = 0
            let count = buffer.writeWithUnsafeMutableBytes(minimumWritableBytes: 0) { target in
                var count = 0
                result = SSL_read_ex(ssl, target.baseAddress, target.count, &count)
                return result == 1 ? count : 0
            }
            guard result == 1 else { return readFailed(result) }
            // OpenSSL takes one record at a time.
            partialRecordBytes = 0
            countData(count)
            // Asking again would only be told so, after OpenSSL has made a buffer for a whole record and thrown it away.
            if incoming.readableBytes == 0, SSL_has_pending(ssl) == 0 { return .drained }
        }
    }

    /// Encrypts `bytes`, at most 16 KiB, into one record. The reason of a failure ends the connection.
    func seal(_ bytes: UnsafeRawBufferPointer) -> TLSError? {
        OpenSSLErrors.clear()
        var count = 0
        let result = SSL_write_ex(ssl, bytes.baseAddress, bytes.count, &count)
        if result == 1, count == bytes.count { return nil }
        return .protocolFailure(reason: OpenSSLErrors.takeReason() ?? "a record can't be written", alert: alert)
    }

    /// Makes close_notify.
    func shutdown() {
        OpenSSLErrors.clear()
        // 0 and 1 tell whether the peer's has come already, which doesn't matter here.
        if SSL_shutdown(ssl) < 0 { OpenSSLErrors.clear() }
    }

    // MARK: What OpenSSL asks for and tells

    /// Fills `target` with received bytes and says how many it were.
    func takeIncoming(into target: UnsafeMutableRawBufferPointer) -> Int {
        let count = min(target.count, incoming.readableBytes)
        guard count > 0, !isFlooded else { return 0 }
        if !isEstablished {
            handshakeBytes &+= count
            guard handshakeBytes <= Self.maxHandshakeBytes || skipsEarlyData(handshakeBytes) else {
                isFlooded = true
                return 0
            }
        }
        partialRecordBytes &+= count
        return incoming.readWithUnsafeReadableBytes { source in
            target.copyMemory(from: UnsafeRawBufferPointer(rebasing: source.prefix(count)))
            return count
        }
    }

    /// Whether the bytes beyond a handshake are early data of a rejected session, within their own bound.
    private func skipsEarlyData(_ count: Int) -> Bool {
        SSL_get_early_data_status(ssl) == SSL_EARLY_DATA_REJECTED
            && count <= Self.maxHandshakeBytes + Self.maxSkippedEarlyData + Self.earlyDataHeaders
    }

    fileprivate func sawAlert(level: UInt8, code: UInt8, isSent: Bool) {
        // The first fatal one is the cause; close_notify is no failure at all.
        guard code != TLSAlert.closeNotify, alert?.isFatal != true else { return }
        alert = TLSAlert(direction: isSent ? .sent : .received, code: code, isFatal: Int32(level) == SSL3_AL_FATAL)
        if isSent, isEstablished { countPostHandshakeMessage() }
    }

    fileprivate func countPostHandshakeMessage() {
        guard isEstablished else { return }
        partialRecordBytes = 0
        postHandshakeMessages &+= 1
        if postHandshakeMessages > Self.maxPostHandshakeMessages { isFlooded = true }
    }

    private func countData(_ count: Int) {
        bytesInWindow &+= count
        if bytesInWindow >= Self.floodWindow {
            bytesInWindow = 0
            postHandshakeMessages = 0
        }
    }

    private func readFailed(_ result: Int32) -> ReadProgress {
        if isFlooded {
            return .failed(.protocolFailure(reason: "too many handshake messages after the handshake", alert: alert))
        }
        switch SSL_get_error(ssl, result) {
        case SSL_ERROR_WANT_READ, SSL_ERROR_WANT_WRITE: return .drained
        case SSL_ERROR_ZERO_RETURN: return .closed
        default: return .failed(.protocolFailure(reason: takeReason(), alert: alert))
        }
    }

    private func takeReason() -> String {
        var reason = OpenSSLErrors.takeReason() ?? "OpenSSL gave no reason"
        let verdict = SSL_get_verify_result(ssl)
        if reason.hasPrefix("certificate verify failed"), verdict != Int(X509_V_OK), let text = X509_verify_cert_error_string(verdict) {
            reason += ": " + String(cString: text)
        }
        return reason
    }
}

/// Called by OpenSSL for every message that goes in or out; must not trap.
private func observe(
    isSent: Int32, version: Int32, type: Int32, bytes: UnsafeRawPointer?, count: Int, ssl: OpaquePointer?,
    argument: UnsafeMutableRawPointer?
) {
    guard type == SSL3_RT_ALERT || type == SSL3_RT_HANDSHAKE, let argument, let bytes else { return }
    let connection = Unmanaged<TLSConnection>.fromOpaque(argument).takeUnretainedValue()
    let message = UnsafeRawBufferPointer(start: bytes, count: count)
    if type == SSL3_RT_HANDSHAKE {
        if isSent == 0 { connection.countPostHandshakeMessage() }
    } else if message.count >= 2 {
        connection.sawAlert(level: message[0], code: message[1], isSent: isSent == 1)
    }
}
