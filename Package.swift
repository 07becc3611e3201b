// swift-tools-version: 6.2
// SPDX-License-Identifier: Apache-2.0

import PackageDescription

let commonSettings: [SwiftSetting] = [
    .swiftLanguageMode(.v6),
    .enableUpcomingFeature("ExistentialAny"),
    .enableUpcomingFeature("MemberImportVisibility"),
    .enableUpcomingFeature("InternalImportsByDefault"),
    .enableUpcomingFeature("NonisolatedNonsendingByDefault"),
    // Warnings in this package are errors.
    .treatAllWarnings(as: .error),
    // Disables run-time exclusivity checks in release builds, where they cost 5 % per message. Debug builds, hence all tests, have them.
    .unsafeFlags(["-enforce-exclusivity=unchecked", "-cross-module-optimization"], .when(configuration: .release)),
]

/// The commit that the executables are built from, for `parley --version`. `deploy/build.sh` sets the variable; other builds say `unknown`.
let commit = Context.environment["PARLEY_COMMIT"] ?? "unknown"

let package = Package(
    name: "parley",
    products: [
        .executable(name: "parley", targets: ["parley"]),
        .executable(name: "parley-launch", targets: ["parley-launch"]),
        // A client for programs in Swift. The targets below it need only NIO, swift-collections, OpenSSL and zlib.
        .library(name: "ParleyClient", targets: ["ParleyClient"]),
    ],
    dependencies: [
        // Event loops, sockets, HTTP/1 parsing and back-pressure.
        .package(url: "https://github.com/apple/swift-nio.git", from: "2.101.0"),
        // The operations listener's HTTP server and routes.
        .package(url: "https://github.com/hummingbird-project/hummingbird.git", from: "2.28.0", traits: []),
        // The logging API that libraries share; the gateway's own handler writes JSON lines.
        .package(url: "https://github.com/apple/swift-log.git", from: "1.16.0"),
        // Ordered startup, signals and graceful shutdown.
        .package(url: "https://github.com/swift-server/swift-service-lifecycle.git", from: "2.13.0"),
        // Layered configuration: files, environment variables, flags.
        .package(
            url: "https://github.com/apple/swift-configuration.git", from: "1.4.0",
            traits: ["CommandLineArguments"]),
        // The file and line of a YAML key, which swift-configuration's providers don't expose.
        .package(url: "https://github.com/jpsim/Yams.git", from: "6.2.0"),
        // Subcommands, flags and help.
        .package(url: "https://github.com/apple/swift-argument-parser.git", from: "1.8.0"),
        // Hummingbird's request and response types, for the operations listener's deadlines.
        .package(url: "https://github.com/apple/swift-http-types.git", from: "1.8.0"),
        .package(url: "https://github.com/apple/swift-nio-extras.git", from: "1.35.0"),
        // The embedded store: statements, migrations and errors of SQLite. The library is Debian's, which gets security updates.
        .package(url: "https://github.com/groue/GRDB.swift.git", from: "7.10.0"),
        // The HTML page of a session report: templates escape values, which prevents injection.
        .package(url: "https://github.com/hummingbird-project/swift-mustache.git", from: "2.1.0"),
        // Process upstreams: spawns, monitors and reaps programs.
        .package(url: "https://github.com/swiftlang/swift-subprocess.git", from: "1.0.0", traits: []),
        // The file descriptor type of swift-subprocess.
        .package(url: "https://github.com/apple/swift-system.git", from: "1.8.0"),
        // Deque for collections that evict their oldest entry, Heap for those that evict their largest.
        .package(url: "https://github.com/apple/swift-collections.git", from: "1.6.0"),
    ],
    targets: [
        .systemLibrary(
            name: "COpenSSL", pkgConfig: "openssl", providers: [.apt(["libssl-dev"])]),
        .systemLibrary(
            name: "CZlib", pkgConfig: "zlib", providers: [.apt(["zlib1g-dev"])]),
        // malloc_trim returns memory to the system after a burst of connections; sched_setattr lets event loops run sooner.
        .systemLibrary(name: "CLinux"),
        // argc and argv from C: Swift's CommandLine.arguments is empty without /proc. The commit is here, because another one then compiles
        // only C.
        .target(
            name: "CArguments",
            cSettings: [.define("PARLEY_COMMIT", to: "\"\(commit)\""), .unsafeFlags(["-Wall", "-Wextra", "-Werror"])]),
        // The launcher of process upstreams, which executes the program. In C, since the Swift runtime would dominate its start time.
        .executableTarget(
            name: "parley-launch",
            cSettings: [.unsafeFlags(["-Wall", "-Wextra", "-Werror"])],
            linkerSettings: [.unsafeFlags(["-static-executable", "-use-ld=lld"])]),
        .target(
            name: "GatewayCore",
            dependencies: [
                .product(name: "DequeModule", package: "swift-collections"),
                .product(name: "HeapModule", package: "swift-collections"),
            ],
            swiftSettings: commonSettings + [.strictMemorySafety()]),
        .target(
            name: "GatewayTLS",
            dependencies: [
                "COpenSSL", "GatewayCore",
                .product(name: "NIOCore", package: "swift-nio"),
            ],
            swiftSettings: commonSettings),
        .target(
            name: "GatewayWebSocket",
            dependencies: ["GatewayCore", "CZlib", .product(name: "NIOCore", package: "swift-nio")],
            swiftSettings: commonSettings),
        // The browser client and the demo page, embedded in the executable.
        .target(
            name: "ParleyJS",
            exclude: ["README.md", "package.json", "parley.d.ts", "internal.d.ts"],
            resources: [
                .embedInCode("parley.js"), .embedInCode("parley-audio.js"), .embedInCode("demo/index.html"), .embedInCode("demo/demo.css"),
                .embedInCode("demo/demo.js"),
            ],
            swiftSettings: commonSettings),
        .target(name: "GatewayAudio", dependencies: ["GatewayCore"], swiftSettings: commonSettings),
        // The client of the shared store. No Redis library for Swift resolves with TLS of the system's OpenSSL.
        .target(
            name: "GatewayRedis",
            dependencies: [
                "GatewayCore", "GatewayTLS",
                .product(name: "NIOCore", package: "swift-nio"),
                .product(name: "NIOPosix", package: "swift-nio"),
                .product(name: "Logging", package: "swift-log"),
                .product(name: "DequeModule", package: "swift-collections"),
            ],
            swiftSettings: commonSettings),
        // The client library, and the WebSocket client below it. The gateway depends on it, since its connections to upstreams use the same
        // handshake; `parley talk` uses the same rules for resuming.
        .target(
            name: "ParleyClient",
            dependencies: [
                "GatewayCore", "GatewayTLS", "GatewayWebSocket",
                .product(name: "NIOCore", package: "swift-nio"),
                .product(name: "NIOPosix", package: "swift-nio"),
                .product(name: "NIOHTTP1", package: "swift-nio"),
                .product(name: "DequeModule", package: "swift-collections"),
            ],
            swiftSettings: commonSettings),
        .target(
            name: "GatewayServer",
            dependencies: [
                "GatewayAudio", "GatewayCore", "GatewayRedis", "GatewayTLS", "GatewayWebSocket", "ParleyClient", "ParleyJS", "CLinux",
                .product(name: "NIOCore", package: "swift-nio"),
                .product(name: "NIOPosix", package: "swift-nio"),
                .product(name: "NIOHTTP1", package: "swift-nio"),
                .product(name: "Hummingbird", package: "hummingbird"),
                .product(name: "HummingbirdCore", package: "hummingbird"),
                .product(name: "HTTPTypes", package: "swift-http-types"),
                .product(name: "NIOHTTPTypes", package: "swift-nio-extras"),
                .product(name: "NIOHTTPTypesHTTP1", package: "swift-nio-extras"),
                .product(name: "Logging", package: "swift-log"),
                .product(name: "ServiceLifecycle", package: "swift-service-lifecycle"),
                .product(name: "UnixSignals", package: "swift-service-lifecycle"),
                .product(name: "Configuration", package: "swift-configuration"),
                .product(name: "Yams", package: "Yams"),
                .product(name: "DequeModule", package: "swift-collections"),
                .product(name: "GRDB", package: "GRDB.swift"),
                .product(name: "GRDBSQLite", package: "GRDB.swift"),
                .product(name: "NIOConcurrencyHelpers", package: "swift-nio"),
                .product(name: "Mustache", package: "swift-mustache"),
                .product(name: "Subprocess", package: "swift-subprocess"),
                .product(name: "SystemPackage", package: "swift-system"),
            ],
            swiftSettings: commonSettings),
        .executableTarget(
            name: "parley",
            dependencies: [
                // parley-launch isn't linked: the dependency builds it into the same directory, where parley looks for it.
                "CArguments", "GatewayAudio", "GatewayCore", "GatewayRedis", "GatewayServer", "GatewayTLS", "GatewayWebSocket",
                "ParleyClient", "parley-launch",
                .product(name: "ArgumentParser", package: "swift-argument-parser"),
                .product(name: "NIOCore", package: "swift-nio"),
                .product(name: "NIOPosix", package: "swift-nio"),
                .product(name: "NIOHTTP1", package: "swift-nio"),
                .product(name: "Logging", package: "swift-log"),
                .product(name: "ServiceLifecycle", package: "swift-service-lifecycle"),
                .product(name: "UnixSignals", package: "swift-service-lifecycle"),
            ],
            swiftSettings: commonSettings),
        .target(
            name: "Support",
            dependencies: [
                "GatewayCore", "GatewayRedis", "GatewayServer", "GatewayTLS", "GatewayWebSocket",
                .product(name: "NIOCore", package: "swift-nio"),
                .product(name: "NIOPosix", package: "swift-nio"),
                .product(name: "NIOEmbedded", package: "swift-nio"),
                .product(name: "NIOHTTP1", package: "swift-nio"),
                .product(name: "Logging", package: "swift-log"),
            ],
            path: "Tests/Support",
            swiftSettings: commonSettings),
        .testTarget(
            name: "GatewayCoreTests",
            dependencies: ["GatewayCore"],
            swiftSettings: commonSettings),
        .testTarget(
            name: "GatewayRedisTests",
            dependencies: [
                "GatewayCore", "GatewayRedis", "GatewayTLS", "Support",
                .product(name: "NIOCore", package: "swift-nio"),
                .product(name: "NIOPosix", package: "swift-nio"),
                .product(name: "NIOEmbedded", package: "swift-nio"),
                .product(name: "Logging", package: "swift-log"),
            ],
            swiftSettings: commonSettings),
        .testTarget(
            name: "ParleyClientTests",
            dependencies: ["GatewayCore", "ParleyClient"],
            swiftSettings: commonSettings),
        .testTarget(
            name: "GatewayServerTests",
            dependencies: [
                "GatewayAudio", "GatewayCore", "GatewayRedis", "GatewayServer", "GatewayTLS", "GatewayWebSocket", "ParleyClient", "Support",
                "COpenSSL", "CZlib",
                .product(name: "NIOCore", package: "swift-nio"),
                .product(name: "NIOPosix", package: "swift-nio"),
                .product(name: "NIOEmbedded", package: "swift-nio"),
                .product(name: "NIOHTTP1", package: "swift-nio"),
                .product(name: "Hummingbird", package: "hummingbird"),
                .product(name: "HummingbirdCore", package: "hummingbird"),
                .product(name: "HTTPTypes", package: "swift-http-types"),
                .product(name: "GRDB", package: "GRDB.swift"),
                .product(name: "Logging", package: "swift-log"),
                .product(name: "ServiceLifecycle", package: "swift-service-lifecycle"),
            ],
            swiftSettings: commonSettings),
        .testTarget(
            name: "EndToEndTests",
            dependencies: [
                "GatewayAudio", "GatewayCore", "GatewayRedis", "GatewayServer", "GatewayTLS", "GatewayWebSocket", "ParleyClient", "Support",
                "CZlib", "parley",
                .product(name: "NIOCore", package: "swift-nio"),
                .product(name: "NIOPosix", package: "swift-nio"),
            ],
            exclude: ["Clients", "Deployment"],
            swiftSettings: commonSettings),
    ]
)
