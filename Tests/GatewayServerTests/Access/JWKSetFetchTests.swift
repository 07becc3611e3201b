// SPDX-License-Identifier: Apache-2.0

import GatewayCore
import NIOCore
import NIOPosix
import Support
import Testing

@testable import GatewayServer
@testable import GatewayTLS

@Suite(.bounded) struct JWKSetFetchTests {
    private let certificates: TestCertificates
    /// The PEM file of the authority that has signed the server's certificate.
    private let authority: String
    private let certificate: TLSSettings.Certificate

    private static let body = #"{"keys":[]}"#

    init() throws {
        certificates = try TestCertificates()
        let issuer = try certificates.make(.init(["Test CA"], isAuthority: true), file: "ca")
        authority = issuer.files.certificate
        certificate = try certificates.make(.init(["localhost", "127.0.0.1"]), file: "server", issuer: issuer).files
    }

    private func url(_ server: ScriptedTLSServer, host: String = "127.0.0.1", path: String = "/jwks.json?v=1") throws -> UpstreamURL {
        try #require(UpstreamURL("https://\(host):\(server.port)\(path)"))
    }

    private func fetch(_ server: ScriptedTLSServer, host: String = "127.0.0.1", timeout: Duration = .seconds(10)) async throws -> String {
        String(decoding: try await JWKSetFetch.fetch(try url(server, host: host), authority: authority, timeout: timeout), as: UTF8.self)
    }

    /// Returns the description of the error; nil if the fetch succeeds.
    private func failure(_ server: ScriptedTLSServer, host: String = "127.0.0.1", timeout: Duration = .seconds(10)) async throws -> String?
    {
        do {
            _ = try await fetch(server, host: host, timeout: timeout)
            return nil
        } catch let error as JWKSetError {
            return "\(error)"
        }
    }

    private func failure(answer: String) async throws -> String? {
        try await failure(try ScriptedTLSServer(certificate, answering: answer))
    }

    // MARK: Accepted

    @Test func `the request names the host and the target, and asks to close the connection`() async throws {
        let server = try ScriptedTLSServer(certificate, answering: "HTTP/1.1 200 OK\r\nContent-Length: 11\r\n\r\n\(Self.body)")
        #expect(try await fetch(server, host: "localhost") == Self.body)
        let request = try #require(server.requests.value.first).split(separator: "\r\n").map(String.init)
        #expect(request.first == "GET /jwks.json?v=1 HTTP/1.1")
        #expect(request.contains("Host: localhost:\(server.port)"))
        #expect(request.contains("Connection: close"))
        #expect(await server.closed.wait(timeout: .seconds(10)) { $0 == 1 ? true : nil } == true)
    }

    @Test(arguments: [
        "HTTP/1.1 200 OK\r\nContent-Length: 11\r\n\r\n\(JWKSetFetchTests.body)",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\n{\"key\r\n6;ext=1\r\ns\":[]}\r\n0\r\nTrailer: x\r\n\r\n",
        "HTTP/1.1 200 OK\r\n\r\n\(JWKSetFetchTests.body)",
        "HTTP/1.0 200 OK\r\n\r\n\(JWKSetFetchTests.body)",
        "HTTP/1.0 200 OK\r\nContent-Length: 11\r\nContent-Encoding: identity\r\n\r\n\(JWKSetFetchTests.body)",
        "HTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 11\r\n\r\n\(JWKSetFetchTests.body)",
    ])
    func `a body with a length, in chunks, or up to the end of the connection is accepted`(_ answer: String) async throws {
        #expect(try await fetch(try ScriptedTLSServer(certificate, answering: answer)) == Self.body)
    }

    @Test func `a body of 1 MiB is accepted`() async throws {
        let body = String(repeating: "x", count: JWKSet.maximumBytes)
        let server = try ScriptedTLSServer(certificate, answering: "HTTP/1.1 200 OK\r\nContent-Length: \(body.utf8.count)\r\n\r\n\(body)")
        #expect(try await fetch(server) == body)
    }

    // MARK: Rejected responses

    @Test(arguments: [201, 204, 206, 304, 400, 401, 404, 429, 500, 503])
    func `a status other than 200 is rejected`(_ status: Int) async throws {
        #expect(try await failure(answer: "HTTP/1.1 \(status) X\r\n\r\n") == "the server responded with status \(status)")
    }

    @Test(arguments: [300, 301, 302, 303, 307, 308])
    func `a redirect isn't followed`(_ status: Int) async throws {
        let server = try ScriptedTLSServer(
            certificate, answering: "HTTP/1.1 \(status) X\r\nLocation: /other\r\nContent-Length: 0\r\n\r\n")
        #expect(
            try await failure(server) == "the server redirects (status \(status)); redirects aren't followed, configure the final URL")
        #expect(server.requests.value.count == 1)
    }

    @Test func `a switch to another protocol is rejected`() async throws {
        #expect(
            try await failure(answer: "HTTP/1.1 101 X\r\nUpgrade: x\r\nConnection: Upgrade\r\n\r\n")
                == "the server responded with status 101")
    }

    @Test func `a body above 1 MiB is rejected by its length`() async throws {
        #expect(
            try await failure(answer: "HTTP/1.1 200 OK\r\nContent-Length: \(JWKSet.maximumBytes + 1)\r\n\r\n")
                == "the response exceeds 1MiB")
    }

    @Test(arguments: ["Transfer-Encoding: chunked\r\n\r\n", "\r\n"])
    func `an endless body is rejected at 1 MiB`(_ fields: String) async throws {
        let chunk = fields == "\r\n" ? "xxxxxxxx" : "8\r\nxxxxxxxx\r\n"
        let server = try ScriptedTLSServer(certificate) { _ in [.send("HTTP/1.1 200 OK\r\n\(fields)"), .flood(chunk)] }
        #expect(try await failure(server) == "the response exceeds 1MiB")
        #expect(await server.closed.wait(timeout: .seconds(10)) { $0 == 1 ? true : nil } == true)
    }

    @Test(arguments: ["X: yyyyyyyyyyyyyyyyyyyy\r\n", "x"])
    func `endless header fields are rejected`(_ text: String) async throws {
        let server = try ScriptedTLSServer(certificate) { _ in [.send("HTTP/1.1 200 OK\r\nA: b"), .flood(text)] }
        #expect(try await failure(server) == "the response's head is too long")
    }

    @Test func `endless informational responses are rejected`() async throws {
        let server = try ScriptedTLSServer(certificate) { _ in [.flood("HTTP/1.1 100 Continue\r\n\r\n")] }
        #expect(try await failure(server) == "the response's head is too long")
    }

    @Test(arguments: [
        "garbage\r\n\r\n", "SSH-2.0-x\r\n", "HTTP/1.1 abc\r\n\r\n", "HTTP/1.1 200 OK\r\nContent-Length: x\r\n\r\n", "\0\0\0\0",
    ])
    func `a response that isn't HTTP is rejected`(_ answer: String) async throws {
        #expect(try await failure(answer: answer) == "the response isn't HTTP")
    }

    @Test func `a compressed body is rejected`() async throws {
        #expect(
            try await failure(answer: "HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: 2\r\n\r\nxx")
                == "the response has a content coding that wasn't offered")
    }

    // MARK: Connections that end or hang

    @Test(arguments: [
        "", "HTTP/1.1 200", "HTTP/1.1 200 OK\r\nContent-Length: 11\r\n\r\n{",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1\r\n{\r\n",
    ])
    func `a connection that closes within the response is an error`(_ part: String) async throws {
        let expected = "the connection was closed before the response was complete"
        for last in [ScriptedTLSServer.Step.close, .abort] {
            let server = try ScriptedTLSServer(certificate) { _ in (part.isEmpty ? [] : [.send(part)]) + [last] }
            #expect(try await failure(server) == expected)
        }
    }

    @Test func `a body without a length that ends without close_notify is an error`() async throws {
        let server = try ScriptedTLSServer(certificate) { _ in [.send("HTTP/1.1 200 OK\r\n\r\n\(Self.body)"), .abort] }
        #expect(try await failure(server) == "the connection was closed before the response was complete")
    }

    @Test(arguments: ["", "HTTP/1.1 200 OK\r\n", "HTTP/1.1 200 OK\r\nContent-Length: 99999\r\n\r\n"])
    func `a server that is silent or sends byte by byte is cut off at the deadline`(_ part: String) async throws {
        let server = try ScriptedTLSServer(certificate) { _ in part.isEmpty ? [] : [.send(part), .trickle("x", every: .milliseconds(20))] }
        #expect(try await failure(server, timeout: .milliseconds(250)) == "no complete response within 250ms")
        #expect(await server.closed.wait(timeout: .seconds(10)) { $0 == 1 ? true : nil } == true)
    }

    @Test func `a server without TLS is an error, and one that never completes the handshake is cut off`() async throws {
        let silent = try await ServerBootstrap.listening()
        defer { silent.close(promise: nil) }
        let url = try #require(UpstreamURL("https://127.0.0.1:\(silent.localAddress?.port ?? 0)/"))
        await #expect(throws: JWKSetError.self) {
            try await JWKSetFetch.fetch(url, authority: nil, timeout: .milliseconds(250))
        }
    }

    @Test func `a port without a server is an error with the system's reason`() async throws {
        let port = try ReservedPort()
        let url = try #require(UpstreamURL("https://127.0.0.1:\(port.number)/"))
        do {
            _ = try await JWKSetFetch.fetch(url, authority: nil)
            Issue.record("the fetch succeeded")
        } catch {
            #expect("\(error)" == "can't connect: Connection refused")
        }
        withExtendedLifetime(port) {}
    }

    @Test func `cancelling the task closes the connection`() async throws {
        let server = try ScriptedTLSServer(certificate) { _ in [] }
        let url = try url(server)
        let task = Task { [authority] in try await JWKSetFetch.fetch(url, authority: authority) }
        #expect(await server.requests.wait(timeout: .seconds(10)) { $0.isEmpty ? nil : true } == true)
        task.cancel()
        await #expect(throws: JWKSetError.self) { try await task.value }
        #expect(await server.closed.wait(timeout: .seconds(10)) { $0 == 1 ? true : nil } == true)
    }

    // MARK: Certificates

    @Test func `a certificate for another name is rejected`() async throws {
        let issuer = try certificates.make(.init(["Second CA"], isAuthority: true), file: "second")
        let other = try certificates.make(.init(["idp.example"]), file: "other", issuer: issuer).files
        let server = try ScriptedTLSServer(other, answering: "HTTP/1.1 200 OK\r\nContent-Length: 11\r\n\r\n\(Self.body)")
        for host in ["localhost", "127.0.0.1"] {
            do {
                _ = try await JWKSetFetch.fetch(try url(server, host: host), authority: issuer.files.certificate)
                Issue.record("the fetch succeeded")
            } catch let error as JWKSetError {
                #expect("\(error)".contains("mismatch"), "\(error)")
            }
        }
        #expect(server.requests.value == [])
    }

    @Test func `a certificate of an unknown authority is rejected, with or without further authorities`() async throws {
        let server = try ScriptedTLSServer(certificate, answering: "HTTP/1.1 200 OK\r\nContent-Length: 11\r\n\r\n\(Self.body)")
        let stranger = try certificates.make(.init(["Stranger"], isAuthority: true), file: "stranger").files.certificate
        for authority in [nil, stranger] {
            do {
                _ = try await JWKSetFetch.fetch(try url(server), authority: authority)
                Issue.record("the fetch succeeded")
            } catch let error as JWKSetError {
                #expect("\(error)".hasPrefix("TLS handshake failed: certificate verify failed: "), "\(error)")
            }
        }
        #expect(server.requests.value == [])
    }

    @Test func `a missing authority file is an error that names it`() async throws {
        let server = try ScriptedTLSServer(certificate, answering: "")
        do {
            _ = try await JWKSetFetch.fetch(try url(server), authority: "/nonexistent/ca.pem")
            Issue.record("the fetch succeeded")
        } catch let error as JWKSetError {
            #expect("\(error)" == "/nonexistent/ca.pem: can't be read: No such file or directory")
        }
    }
}

extension ServerBootstrap {
    /// Returns a listener that accepts connections and sends nothing.
    fileprivate static func listening() async throws -> any Channel {
        try await ServerBootstrap(group: MultiThreadedEventLoopGroup.singleton).bind(host: "127.0.0.1", port: 0).get()
    }
}
