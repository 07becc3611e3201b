// swift-tools-version: 6.2
// SPDX-License-Identifier: Apache-2.0

import PackageDescription

// The gateway's sources through symbolic links, since only this package instruments them for the fuzzer.

let commonSettings: [SwiftSetting] = [
    .swiftLanguageMode(.v6),
    .enableUpcomingFeature("ExistentialAny"),
    .enableUpcomingFeature("MemberImportVisibility"),
    .enableUpcomingFeature("InternalImportsByDefault"),
    .enableUpcomingFeature("NonisolatedNonsendingByDefault"),
    .treatAllWarnings(as: .error),
]

/// Coverage for libFuzzer and the address sanitizer, for this project's sources only; testability for the fuzz targets' `@testable` imports.
let instrumented: [SwiftSetting] = commonSettings + [.unsafeFlags(["-sanitize=fuzzer,address", "-enable-testing"])]

let package = Package(
    // The gateway's name: `package` declarations are visible only within a package.
    name: "parley",
    dependencies: [
        .package(url: "https://github.com/apple/swift-nio.git", from: "2.101.0"),
        .package(url: "https://github.com/hummingbird-project/hummingbird.git", from: "2.28.0", traits: []),
        .package(url: "https://github.com/apple/swift-http-types.git", from: "1.8.0"),
        .package(url: "https://github.com/apple/swift-nio-extras.git", from: "1.35.0"),
        .package(url: "https://github.com/apple/swift-log.git", from: "1.16.0"),
        .package(
            url: "https://github.com/apple/swift-configuration.git", from: "1.4.0",
            traits: ["CommandLineArguments"]),
        .package(url: "https://github.com/jpsim/Yams.git", from: "6.2.0"),
        .package(url: "https://github.com/apple/swift-collections.git", from: "1.6.0"),
        .package(url: "https://github.com/swift-server/swift-service-lifecycle.git", from: "2.13.0"),
        .package(url: "https://github.com/groue/GRDB.swift.git", from: "7.10.0"),
        .package(url: "https://github.com/hummingbird-project/swift-mustache.git", from: "2.1.0"),
        .package(url: "https://github.com/swiftlang/swift-subprocess.git", from: "1.0.0", traits: []),
        .package(url: "https://github.com/apple/swift-system.git", from: "1.8.0"),
    ],
    targets: [
        .systemLibrary(name: "COpenSSL", path: "Linked/COpenSSL", pkgConfig: "openssl", providers: [.apt(["libssl-dev"])]),
        .systemLibrary(name: "CZlib", path: "Linked/CZlib", pkgConfig: "zlib", providers: [.apt(["zlib1g-dev"])]),
        .systemLibrary(name: "CLinux", path: "Linked/CLinux"),
        .target(
            name: "GatewayCore",
            dependencies: [
                .product(name: "DequeModule", package: "swift-collections"),
                .product(name: "HeapModule", package: "swift-collections"),
            ],
            path: "Linked/GatewayCore",
            swiftSettings: instrumented + [.strictMemorySafety()]),
        .target(
            name: "GatewayTLS",
            dependencies: ["COpenSSL", "GatewayCore", .product(name: "NIOCore", package: "swift-nio")],
            path: "Linked/GatewayTLS",
            swiftSettings: instrumented),
        .target(
            name: "GatewayWebSocket",
            dependencies: ["GatewayCore", "CZlib", .product(name: "NIOCore", package: "swift-nio")],
            path: "Linked/GatewayWebSocket",
            swiftSettings: instrumented),
        .target(
            name: "ParleyJS",
            path: "Linked/ParleyJS",
            exclude: ["README.md", "package.json", "parley.d.ts", "internal.d.ts"],
            resources: [
                .embedInCode("parley.js"), .embedInCode("parley-audio.js"), .embedInCode("demo/index.html"), .embedInCode("demo/demo.css"),
                .embedInCode("demo/demo.js"),
            ],
            swiftSettings: instrumented),
        .target(name: "GatewayAudio", dependencies: ["GatewayCore"], path: "Linked/GatewayAudio", swiftSettings: instrumented),
        .target(
            name: "GatewayRedis",
            dependencies: [
                "GatewayCore", "GatewayTLS",
                .product(name: "NIOCore", package: "swift-nio"),
                .product(name: "NIOPosix", package: "swift-nio"),
                .product(name: "Logging", package: "swift-log"),
                .product(name: "DequeModule", package: "swift-collections"),
            ],
            path: "Linked/GatewayRedis",
            swiftSettings: instrumented),
        .target(
            name: "ParleyClient",
            dependencies: [
                "GatewayCore", "GatewayTLS", "GatewayWebSocket",
                .product(name: "NIOCore", package: "swift-nio"),
                .product(name: "NIOPosix", package: "swift-nio"),
                .product(name: "NIOHTTP1", package: "swift-nio"),
                .product(name: "DequeModule", package: "swift-collections"),
            ],
            path: "Linked/ParleyClient",
            swiftSettings: instrumented),
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
                .product(name: "UnixSignals", package: "swift-service-lifecycle"),
                .product(name: "Logging", package: "swift-log"),
                .product(name: "Configuration", package: "swift-configuration"),
                .product(name: "Yams", package: "Yams"),
                .product(name: "DequeModule", package: "swift-collections"),
                .product(name: "NIOConcurrencyHelpers", package: "swift-nio"),
                .product(name: "ServiceLifecycle", package: "swift-service-lifecycle"),
                .product(name: "GRDB", package: "GRDB.swift"),
                .product(name: "GRDBSQLite", package: "GRDB.swift"),
                .product(name: "Mustache", package: "swift-mustache"),
                .product(name: "Subprocess", package: "swift-subprocess"),
                .product(name: "SystemPackage", package: "swift-system"),
            ],
            path: "Linked/GatewayServer",
            exclude: ["Documentation.docc"],
            swiftSettings: instrumented),
        .target(
            name: "Support",
            dependencies: [
                "GatewayCore", "GatewayServer", "GatewayTLS", "GatewayWebSocket",
                .product(name: "NIOCore", package: "swift-nio"),
                .product(name: "NIOEmbedded", package: "swift-nio"),
                .product(name: "Logging", package: "swift-log"),
            ],
            path: "Linked/Support",
            swiftSettings: commonSettings),
        .executableTarget(
            name: "fuzz",
            dependencies: [
                "GatewayAudio", "GatewayCore", "GatewayRedis", "GatewayServer", "GatewayTLS", "GatewayWebSocket", "Support", "CZlib",
                .product(name: "NIOCore", package: "swift-nio"),
                .product(name: "NIOEmbedded", package: "swift-nio"),
                .product(name: "NIOHTTP1", package: "swift-nio"),
                .product(name: "Logging", package: "swift-log"),
            ],
            path: "Fuzz",
            swiftSettings: instrumented,
            // gold can't link instrumented objects.
            linkerSettings: [.unsafeFlags(["-sanitize=fuzzer,address", "-use-ld=lld"])]),
    ]
)
