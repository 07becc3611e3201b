// swift-tools-version: 6.2
// SPDX-License-Identifier: Apache-2.0

import PackageDescription

// A program of another package that uses the client library. It builds neither the gateway nor the gateway's dependencies.
let package = Package(
    name: "parley-client-example",
    dependencies: [.package(name: "parley", path: "../..")],
    targets: [.executableTarget(name: "example", dependencies: [.product(name: "ParleyClient", package: "parley")])]
)
