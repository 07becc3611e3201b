// SPDX-License-Identifier: Apache-2.0

import ParleyClient

let configuration = ParleyClient.Configuration(trust: .authority(path: CommandLine.arguments[2]))
let client = try ParleyClient(CommandLine.arguments[1], configuration: configuration)
for try await delta in try await client.say("Hello from Swift") { print(delta, terminator: "") }
print()
await client.close()
