// swift-tools-version: 6.2
// SPDX-License-Identifier: Apache-2.0

import PackageDescription

// The gateway's sources through symbolic links, because `package` declarations are visible only within a package. Only the modules that are
// measured in isolation are included, and what they need, so that neither the server nor the operations listener is built.

let commonSettings: [SwiftSetting] = [
    .swiftLanguageMode(.v6),
    .enableUpcomingFeature("ExistentialAny"),
    .enableUpcomingFeature("MemberImportVisibility"),
    .enableUpcomingFeature("InternalImportsByDefault"),
    .enableUpcomingFeature("NonisolatedNonsendingByDefault"),
    .treatAllWarnings(as: .error),
    // The gateway's own flags.
    .unsafeFlags(["-enforce-exclusivity=unchecked", "-cross-module-optimization"], .when(configuration: .release)),
]

let package = Package(
    name: "parley",
    dependencies: [
        .package(url: "https://github.com/apple/swift-nio.git", from: "2.101.0"),
        .package(url: "https://github.com/apple/swift-collections.git", from: "1.6.0"),
        .package(url: "https://github.com/apple/swift-log.git", from: "1.16.0"),
    ],
    targets: [
        .systemLibrary(name: "CZlib", path: "Linked/CZlib", pkgConfig: "zlib", providers: [.apt(["zlib1g-dev"])]),
        .target(
            name: "GatewayCore",
            dependencies: [
                .product(name: "DequeModule", package: "swift-collections"),
                .product(name: "HeapModule", package: "swift-collections"),
            ],
            path: "Linked/GatewayCore",
            swiftSettings: commonSettings + [.strictMemorySafety()]),
        .target(
            name: "GatewayWebSocket",
            dependencies: ["GatewayCore", "CZlib", .product(name: "NIOCore", package: "swift-nio")],
            path: "Linked/GatewayWebSocket",
            swiftSettings: commonSettings),
        .systemLibrary(
            name: "COpenSSL", path: "Linked/COpenSSL", pkgConfig: "openssl", providers: [.apt(["libssl-dev"])]),
        .target(
            name: "GatewayTLS",
            dependencies: ["COpenSSL", "GatewayCore", .product(name: "NIOCore", package: "swift-nio")],
            path: "Linked/GatewayTLS",
            swiftSettings: commonSettings),
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
            swiftSettings: commonSettings),
        .executableTarget(
            name: "sessions",
            dependencies: [
                "GatewayCore", "GatewayRedis",
                .product(name: "DequeModule", package: "swift-collections"),
            ],
            path: "Sessions",
            swiftSettings: commonSettings),
        .executableTarget(
            name: "micro",
            dependencies: ["GatewayCore", "GatewayWebSocket", .product(name: "NIOCore", package: "swift-nio")],
            path: "Micro",
            swiftSettings: commonSettings),
    ]
)
