// SPDX-License-Identifier: Apache-2.0

import Testing

@testable import GatewayServer

@Suite("The layers of the configuration")
struct ConfigurationLayersTests {
    @Test func `a later layer overrides all earlier layers`() throws {
        let directory = try ConfigurationDirectory([
            "gateway.yaml": "sessions: {max: 1, max_detached: 1, history_messages: 1, duplicate_ids: 1}",
            "development.yaml": "sessions: {max_detached: 2, history_messages: 2, duplicate_ids: 2}",
            "staging.yaml": "sessions: {max: 99}",
        ])
        let loaded = try directory.load(
            ["--sessions.duplicate_ids", "4"], ["PARLEY_SESSIONS_HISTORY_MESSAGES": "3", "PARLEY_SESSIONS_DUPLICATE_IDS": "3"])
        let sessions = loaded.configuration.sessions
        #expect([sessions.max, sessions.maxDetached, sessions.historyMessages, sessions.duplicateIDs] == [1, 2, 3, 4])
        #expect(loaded.origin("sessions.max")?.source == "\(directory.path)/gateway.yaml:1")
        #expect(loaded.origin("sessions.max_detached")?.source == "\(directory.path)/development.yaml:1")
        #expect(loaded.origin("sessions.history_messages")?.source == "PARLEY_SESSIONS_HISTORY_MESSAGES")
        #expect(loaded.origin("sessions.duplicate_ids")?.source == "--sessions.duplicate_ids")
    }

    @Test func `without files, variables and flags the defaults of development apply`() throws {
        let loaded = try ConfigurationLoader.load(arguments: [], environment: [:], directory: "/nowhere/at/all")
        #expect(loaded.configuration == .defaults(for: .development))
        #expect(loaded.origins.first == .init(key: "environment", value: "development", source: "default"))
        #expect(loaded.origins.count == ConfigurationKey.all.count + 1)
    }

    @Test func `the environment is set by its flag, else by its variable`() throws {
        let certificate = ["--tls.certificates", "a:b"]
        let staging = try loadConfiguration(certificate, ["PARLEY_ENVIRONMENT": "staging"])
        #expect(staging.configuration.environment == .staging)
        #expect(staging.origin("environment")?.source == "PARLEY_ENVIRONMENT")
        #expect(staging.configuration.heartbeat.staleAfter == .seconds(90))
        let development = try loadConfiguration(["--environment=development"], ["PARLEY_ENVIRONMENT": "staging"])
        #expect(development.configuration == .defaults(for: .development))
        #expect(development.origin("environment")?.source == "--environment")
    }

    @Test(arguments: ["prodution", "", "Production"])
    func `an unknown environment is reported with the other problems`(name: String) throws {
        let problems = try configurationProblems(["--sessions.max", "x"], ["PARLEY_ENVIRONMENT": name])
        #expect(problems.map(\.key) == ["environment", "sessions.max"])
        #expect(problems.first?.value == name)
        #expect(problems.first?.source == "PARLEY_ENVIRONMENT")
        #expect(problems.first?.allowed == "development, staging or production")
        #expect(problems.first?.hint == (name.isEmpty ? nil : "did you mean production?"))
    }

    @Test func `the directory is set by its flag, else by its variable`() throws {
        let one = try ConfigurationDirectory(["gateway.yaml": "sessions.max: 1"])
        let two = try ConfigurationDirectory(["gateway.yaml": "sessions.max: 2"])
        #expect(try loadConfiguration([], ["PARLEY_CONFIG": one.path]).configuration.sessions.max == 1)
        #expect(try loadConfiguration(["--config", two.path], ["PARLEY_CONFIG": one.path]).configuration.sessions.max == 2)
        #expect(try configurationProblems(["--config=\(two.path)/gateway.yaml"]).map(\.source) == ["--config"])
        #expect(try configurationProblems([], ["PARLEY_CONFIG": ""]).map(\.source) == ["PARLEY_CONFIG"])
    }

    @Test func `variables of Kubernetes and of other programs are ignored`() throws {
        let variables = [
            "PARLEY_SERVICE_HOST": "10.0.0.1", "PARLEY_SERVICE_PORT_WSS": "8443", "PARLEY_PORT": "tcp://10.0.0.1:8443",
            "PARLEY_PORT_8443_TCP_ADDR": "10.0.0.1", "PARLEY_REDIS_SERVICE_HOST": "10.0.0.2", "PARLEY_REDIS_SERVICE_PORT": "6379",
            "PARLEY_REDIS_SERVICE_PORT_DATA": "6379", "PARLEY_REDIS_PORT": "tcp://10.0.0.2:6379",
            "PARLEY_REDIS_PORT_6379_TCP": "tcp://10.0.0.2:6379", "PARLEY_REDIS_PORT_6379_TCP_PROTO": "tcp",
            "PARLEY_REDIS_PORT_6379_TCP_PORT": "6379", "PARLEY_REDIS_PORT_6379_TCP_ADDR": "10.0.0.2",
            "PARLEY_CHAT_MODEL_PORT_53_UDP_PORT": "53", "PARLEY_UPSTREAMS_CHAT_SERVICE_HOST": "10.0.0.3",
            "PARLEY_UPSTREAMS_CHAT_SERVICE_PORT_URL": "80", "PARLEY_LISTEN_PORT": "tcp://10.0.0.4:1", "PATH": "/bin",
            "OTHER_CONNECTIONS_MAX": "5", "parley_connections_max": "5",
        ]
        #expect(try loadConfiguration([], variables).configuration == .defaults(for: .development))
    }

    @Test(arguments: ["PARLEY_LISTEN_PORT", "PARLEY_REDIS_HOST", "PARLEY_A_PORT_X_TCP", "PARLEY_A_PORT_1_TCP_X"])
    func `a variable that only resembles one of Kubernetes is an unknown key`(name: String) throws {
        #expect(try configurationProblems([], [name: "8443"]).map(\.key) == [name])
    }

    @Test func `max_sockets is max + 128 unless it is set`() throws {
        #expect(try loadConfiguration(["--connections.max", "5"]).configuration.connections.maxSockets == 133)
        #expect(try loadConfiguration(["--connections.max", "0"]).configuration.connections.maxSockets == 0)
        #expect(
            try loadConfiguration(["--connections.max", "5", "--connections.max_sockets", "6"]).configuration.connections.maxSockets == 6)
    }

    @Test func `lists are split at commas, and a flag can be repeated or have several values`() throws {
        let origins = ["https://a.example", "https://b.example"]
        let spellings = [
            ["--http.allowed_origins", "https://a.example,https://b.example"],
            ["--http.allowed_origins", "https://a.example", "https://b.example"],
            ["--http.allowed_origins=https://a.example", "--http.allowed_origins=https://b.example"],
        ]
        for arguments in spellings { #expect(try loadConfiguration(arguments).configuration.http.allowedOrigins == origins) }
        #expect(
            try loadConfiguration([], ["PARLEY_HTTP_ALLOWED_ORIGINS": "https://a.example, HTTPS://B.example"]).configuration.http
                .allowedOrigins
                == origins)
        #expect(try loadConfiguration([], ["PARLEY_HTTP_ALLOWED_ORIGINS": ""]).configuration.http.allowedOrigins == [])
        #expect(try loadConfiguration(["--http.allowed_origins="]).configuration.http.allowedOrigins == [])
    }

    @Test func `a flag for true needs no value`() throws {
        #expect(try loadConfiguration(["--conformance.echo", "--sessions.max", "5"]).configuration.conformance.echo)
        #expect(try loadConfiguration(["--conformance.echo", "false"]).configuration.conformance.echo == false)
        #expect(try loadConfiguration(["--conformance.echo=true"]).configuration.conformance.echo)
    }

    @Test func `nested, dotted and quoted keys are equivalent`() throws {
        let directory = try ConfigurationDirectory([
            "gateway.yaml": "connections.max: 5\nlimits:\n  \"text_per_minute\": \"7\"\n'sessions': {max: 9}\nheartbeat:\n"
        ])
        let configuration = try directory.load().configuration
        #expect([configuration.connections.max, configuration.limits.textPerMinute, configuration.sessions.max] == [5, 7, 9])
    }

    @Test(arguments: ["", "# nothing but a comment\n", "---\n", "~\n", "{}\n"])
    func `a file without keys sets nothing`(text: String) throws {
        let directory = try ConfigurationDirectory(["gateway.yaml": text])
        #expect(try directory.load().configuration == .defaults(for: .development))
    }

    @Test func `a secret is read from a file, without the newline at its end`() throws {
        let directory = try ConfigurationDirectory(["token": "s3cret\n"])
        let loaded = try directory.load([], ["PARLEY_OPERATIONS_TOKEN_FILE": directory.path + "/token"])
        #expect(loaded.configuration.operations.token == "s3cret")
        #expect(
            loaded.origin("operations.token") == .init(key: "operations.token", value: "********", source: "PARLEY_OPERATIONS_TOKEN_FILE"))
        #expect(loaded.watchedFiles.contains(directory.path + "/token"))
        #expect(!loaded.listing.contains("s3cret"))
        try directory.write("crlf\r\n", to: "token")
        #expect(
            try directory.load([], ["PARLEY_OPERATIONS_TOKEN_FILE": directory.path + "/token"]).configuration.operations.token == "crlf")
    }

    @Test func `the listing has a line for each key`() throws {
        let lines = try loadConfiguration(["--connections.max", "5", "--operations.token", "s3cret"]).listing.split(separator: "\n").map(
            String.init)
        #expect(lines.count == ConfigurationKey.all.count + 1)
        #expect(lines.contains { $0.hasPrefix("connections.max ") && $0.contains(" 5 ") && $0.hasSuffix("# --connections.max") })
        #expect(lines.contains { $0.hasPrefix("operations.token ") && $0.contains("********") && !$0.contains("s3cret") })
        #expect(lines.contains { $0.hasPrefix("tls.client_ca ") && $0.contains("(none)") && $0.hasSuffix("# default") })
    }
}
