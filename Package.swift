// swift-tools-version: 6.2

import PackageDescription

let house: [SwiftSetting] = [
    .swiftLanguageMode(.v6),
    .enableUpcomingFeature("ExistentialAny"),
    .enableUpcomingFeature("MemberImportVisibility"),
    .enableUpcomingFeature("InternalImportsByDefault"),
    .enableUpcomingFeature("NonisolatedNonsendingByDefault"),
    // A warning of ours is a mistake of ours.
    .treatAllWarnings(as: .error),
    // Checks at run time that no two accesses to a property overlap. Every test runs with them; a message would pay a twentieth for them.
    .unsafeFlags(["-enforce-exclusivity=unchecked", "-cross-module-optimization"], .when(configuration: .release)),
]

let package = Package(
    name: "parley",
    products: [
        .executable(name: "parley", targets: ["parley"]),
        .executable(name: "parley-launch", targets: ["parley-launch"]),
    ],
    dependencies: [
        // Event loops, sockets, HTTP/1 parsing and back-pressure.
        .package(url: "https://github.com/apple/swift-nio.git", from: "2.101.0"),
        // Routes of the operations listener.
        .package(url: "https://github.com/hummingbird-project/hummingbird.git", from: "2.28.0", traits: []),
        // The logging API that libraries share; our handler writes the JSON lines.
        .package(url: "https://github.com/apple/swift-log.git", from: "1.16.0"),
        // Start, signals and graceful shutdown in order.
        .package(url: "https://github.com/swift-server/swift-service-lifecycle.git", from: "2.13.0"),
        // Layers of configuration: files, environment, flags.
        .package(
            url: "https://github.com/apple/swift-configuration.git", from: "1.4.0",
            traits: ["CommandLineArguments"]),
        // File and line of a YAML key, which swift-configuration's providers don't tell.
        .package(url: "https://github.com/jpsim/Yams.git", from: "6.2.0"),
        // Subcommands and their help.
        .package(url: "https://github.com/apple/swift-argument-parser.git", from: "1.8.0"),
        // Requests and answers as Hummingbird has them, for the deadline of the operations listener.
        .package(url: "https://github.com/apple/swift-http-types.git", from: "1.8.0"),
        .package(url: "https://github.com/apple/swift-nio-extras.git", from: "1.35.0"),
        // The embedded store: statements, migrations and errors of SQLite, which Debian keeps patched.
        .package(url: "https://github.com/groue/GRDB.swift.git", from: "7.10.0"),
        // The page of a session's report: what is in a template can't be put into the code of a browser by mistake.
        .package(url: "https://github.com/hummingbird-project/swift-mustache.git", from: "2.1.0"),
        // Upstreams that are programs: started, watched and reaped.
        .package(url: "https://github.com/swiftlang/swift-subprocess.git", from: "1.0.0", traits: []),
        // File descriptors, as swift-subprocess has them.
        .package(url: "https://github.com/apple/swift-system.git", from: "1.8.0"),
        // Deque, for everything that is bounded by dropping its oldest entry; Heap, where the largest goes.
        .package(url: "https://github.com/apple/swift-collections.git", from: "1.6.0"),
    ],
    targets: [
        .systemLibrary(
            name: "COpenSSL", pkgConfig: "openssl", providers: [.apt(["libssl-dev"])]),
        .systemLibrary(
            name: "CZlib", pkgConfig: "zlib", providers: [.apt(["zlib1g-dev"])]),
        // malloc_trim: memory goes back to the system after a wave of connections. sched_setattr: event loops get their turn soon.
        .systemLibrary(name: "CLinux"),
        // argc and argv as C gives them: Swift's list of them is empty without /proc.
        .target(name: "CArguments", cSettings: [.unsafeFlags(["-Wall", "-Wextra", "-Werror"])]),
        // What a process upstream is before it becomes its program. The runtime of Swift would be most of its start.
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
            swiftSettings: house + [.strictMemorySafety()]),
        .target(
            name: "GatewayTLS",
            dependencies: [
                "COpenSSL",
                .product(name: "NIOCore", package: "swift-nio"),
            ],
            swiftSettings: house),
        .target(
            name: "GatewayWebSocket",
            dependencies: ["GatewayCore", "CZlib", .product(name: "NIOCore", package: "swift-nio")],
            swiftSettings: house),
        .target(name: "GatewayAudio", dependencies: ["GatewayCore"], swiftSettings: house),
        .target(
            name: "GatewayServer",
            dependencies: [
                "GatewayAudio", "GatewayCore", "GatewayTLS", "GatewayWebSocket", "CLinux",
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
            swiftSettings: house),
        .executableTarget(
            name: "parley",
            dependencies: [
                // Started, not linked: it is built along, and found beside.
                "CArguments", "GatewayAudio", "GatewayCore", "GatewayServer", "GatewayTLS", "GatewayWebSocket", "parley-launch",
                .product(name: "ArgumentParser", package: "swift-argument-parser"),
                .product(name: "NIOCore", package: "swift-nio"),
                .product(name: "NIOPosix", package: "swift-nio"),
                .product(name: "NIOHTTP1", package: "swift-nio"),
                .product(name: "Logging", package: "swift-log"),
                .product(name: "ServiceLifecycle", package: "swift-service-lifecycle"),
                .product(name: "UnixSignals", package: "swift-service-lifecycle"),
            ],
            swiftSettings: house),
        .target(
            name: "Support",
            dependencies: [
                "GatewayCore", "GatewayServer", "GatewayTLS", "GatewayWebSocket",
                .product(name: "NIOCore", package: "swift-nio"),
                .product(name: "NIOPosix", package: "swift-nio"),
                .product(name: "NIOEmbedded", package: "swift-nio"),
                .product(name: "NIOHTTP1", package: "swift-nio"),
                .product(name: "Logging", package: "swift-log"),
            ],
            path: "Tests/Support",
            swiftSettings: house),
        .testTarget(
            name: "GatewayCoreTests",
            dependencies: ["GatewayCore"],
            swiftSettings: house),
        .testTarget(
            name: "GatewayServerTests",
            dependencies: [
                "GatewayAudio", "GatewayCore", "GatewayServer", "GatewayTLS", "GatewayWebSocket", "Support", "COpenSSL", "CZlib",
                .product(name: "NIOCore", package: "swift-nio"),
                .product(name: "NIOPosix", package: "swift-nio"),
                .product(name: "NIOEmbedded", package: "swift-nio"),
                .product(name: "NIOHTTP1", package: "swift-nio"),
                .product(name: "GRDB", package: "GRDB.swift"),
                .product(name: "Logging", package: "swift-log"),
                .product(name: "ServiceLifecycle", package: "swift-service-lifecycle"),
            ],
            swiftSettings: house),
        .testTarget(
            name: "EndToEndTests",
            dependencies: [
                "GatewayAudio", "GatewayCore", "GatewayServer", "GatewayTLS", "GatewayWebSocket", "Support", "CZlib", "parley",
                .product(name: "NIOCore", package: "swift-nio"),
                .product(name: "NIOPosix", package: "swift-nio"),
            ],
            exclude: ["Clients"],
            swiftSettings: house),
    ]
)
