// SPDX-License-Identifier: Apache-2.0

import Foundation
import Support
import Testing

/// The keys that verify and sign tokens, with tokens made and verified by PyJWT and with keys made by OpenSSL.
@Suite(.bounded) struct KeySourceTests {
    private static let pem = "/usr/bin/openssl"

    /// Runs a program of PyJWT and returns the lines that it prints.
    private func python(_ program: String, _ arguments: [String], in directory: TemporaryDirectory) async throws -> [String] {
        let run = try await ChildProcess.run(try Python.path(), ["-c", program] + arguments, directory: directory.path)
        guard run.status == 0 else { throw TestFailure("python: \(run.errorLines)") }
        for line in run.lines { LogScan.register(line) }
        return run.lines
    }

    private func makeKey(_ name: String, _ arguments: [String], in directory: TemporaryDirectory) async throws {
        for command in [["genpkey", "-out", "\(name).pem"] + arguments, ["pkey", "-in", "\(name).pem", "-pubout", "-out", "\(name).pub"]] {
            let run = try await ChildProcess.run(Self.pem, command, directory: directory.path)
            guard run.status == 0 else { throw TestFailure("openssl: \(run.errorLines)") }
        }
    }

    /// Prints a token for each pair of an algorithm and a key file.
    private static let sign = """
        import sys, time, jwt
        for algorithm, path, kid in (argument.split("=") for argument in sys.argv[1:]):
            now = int(time.time())
            headers = {"kid": kid} if kid else None
            print(jwt.encode({"sub": "u1", "iat": now, "exp": now + 600}, open(path).read(), algorithm=algorithm, headers=headers))
        """

    /// Prints the JWK set of public key files.
    private static let keySet = """
        import sys, json
        from cryptography.hazmat.primitives.serialization import load_pem_public_key
        from jwt.algorithms import ECAlgorithm
        keys = []
        for kid, path in (argument.split("=") for argument in sys.argv[1:]):
            key = json.loads(ECAlgorithm.to_jwk(load_pem_public_key(open(path, "rb").read())))
            keys.append(key | {"kid": kid, "use": "sig", "alg": "ES256"})
        print(json.dumps({"keys": keys}))
        """

    /// Serves `jwks.json` of the current directory over TLS, and prints the port.
    private static let serve = """
        import http.server, ssl, sys
        class Handler(http.server.BaseHTTPRequestHandler):
            def do_GET(self):
                body = open("jwks.json", "rb").read()
                self.send_response(200)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)
            def log_message(self, *arguments):
                pass
        server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(sys.argv[1], sys.argv[2])
        server.socket = context.wrap_socket(server.socket, server_side=True)
        print(server.server_port, flush=True)
        server.serve_forever()
        """

    private func status(_ gateway: GatewayProcess, _ token: String) async throws -> Int {
        try await gateway.response(to: .upgrade(adding: [("Authorization", "Bearer \(token)")])).status
    }

    @Test func `tokens are verified by public keys, a JWK set file and a JWK set URL`() async throws {
        let directory = try TemporaryDirectory()
        try await makeKey("rsa", ["-algorithm", "RSA", "-pkeyopt", "rsa_keygen_bits:2048"], in: directory)
        try await makeKey("ed", ["-algorithm", "ed25519"], in: directory)
        for name in ["file", "url", "next", "other"] {
            try await makeKey(name, ["-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:P-256"], in: directory)
        }
        try directory.write(try await python(Self.keySet, ["f1=file.pub"], in: directory).joined(), to: "file.json")
        try directory.write(try await python(Self.keySet, ["u1=url.pub"], in: directory).joined(), to: "jwks.json")
        let pair = try await TestCertificatePair(name: "localhost")
        let server = try ChildProcess(try Python.path(), ["-c", Self.serve, pair.certificate, pair.key], directory: directory.path)
        let port = try #require(await server.output.wait(timeout: .seconds(20)) { $0.lines.first })
        let gateway = try await GatewayProcess([
            "auth.mode": "jwt", "auth.public_keys": "RS256:\(directory.path)/rsa.pub,e1@EdDSA:\(directory.path)/ed.pub",
            "auth.jwks_file": "\(directory.path)/file.json", "auth.jwks_url": "https://localhost:\(port)/jwks.json",
            "auth.jwks_ca": pair.certificate, "auth.jwks_minimum_interval": "100ms", "auth.failures_per_minute": "0",
            "connections.per_user": "0",
        ])
        let tokens = try await python(
            Self.sign,
            [
                "RS256=rsa.pem=", "EdDSA=ed.pem=e1", "ES256=file.pem=f1", "ES256=url.pem=u1", "ES256=next.pem=n1", "ES256=other.pem=f1",
                "RS512=rsa.pem=", "EdDSA=ed.pem=e2",
            ], in: directory)
        for token in tokens.prefix(4) { #expect(try await status(gateway, token) == 101) }
        for token in tokens.dropFirst(5) { #expect(try await status(gateway, token) == 401) }
        // The server rotates to another key: the unknown key id fetches the set again.
        #expect(try await status(gateway, tokens[4]) == 401)
        try directory.write(try await python(Self.keySet, ["n1=next.pub"], in: directory).joined(), to: "jwks.json")
        var rotated = 0
        for _ in 0..<50 where rotated != 101 {
            rotated = try await status(gateway, tokens[4])
            if rotated != 101 { try await Task.sleep(for: .milliseconds(100)) }
        }
        #expect(rotated == 101)
        server.signal(SIGKILL)
        // The last good set stays in force.
        #expect(try await status(gateway, tokens[4]) == 101)
        try await gateway.stop()
    }

    @Test func `minted tokens are signed with the minting key`() async throws {
        let directory = try TemporaryDirectory()
        try await makeKey("mint", ["-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:P-256"], in: directory)
        let gateway = try await GatewayProcess(["auth.mode": "jwt", "auth.minting_key": "m1@ES256:\(directory.path)/mint.pem"])
        let run = try await GatewayProcess.run(
            ["token", "--user", "u1", "--expires-in", "5m", "--address", "127.0.0.1:\(gateway.operationsPort)"], directory: directory)
        #expect(run.status == 0, "\(run)")
        let token = try #require(run.lines.first)
        LogScan.register(token)
        let verify = """
            import sys, jwt
            assert jwt.get_unverified_header(sys.argv[1])["kid"] == "m1"
            print(jwt.decode(sys.argv[1], open("mint.pub").read(), algorithms=["ES256"])["sub"])
            """
        #expect(try await python(verify, [token], in: directory) == ["u1"])
        #expect(try await status(gateway, token) == 101)
        try await gateway.stop()
    }

    @Test func `while no key can verify tokens, the gateway isn't ready`() async throws {
        let gateway = try await GatewayProcess(["auth.mode": "jwt", "auth.jwks_url": "https://127.0.0.1:9/jwks.json"])
        let response = try await gateway.operationsResponse(to: HTTPRequestText("/readyz"))
        #expect(response.status == 503)
        #expect(response.body.contains("token_keys"))
        try await gateway.stop()
    }
}
