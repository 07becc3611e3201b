// SPDX-License-Identifier: Apache-2.0

import Foundation

/// libFuzzer's driver, for programs with their own `main` (otherwise the library provides it).
@_silgen_name("LLVMFuzzerRunDriver")
private func runDriver(
    _ argumentCount: UnsafeMutablePointer<CInt>,
    _ arguments: UnsafeMutablePointer<UnsafeMutablePointer<UnsafeMutablePointer<CChar>?>>,
    _ body: @convention(c) (UnsafePointer<UInt8>?, Int) -> CInt
) -> CInt

// An environment variable instead of an argument: to merge and to minimize, libFuzzer runs itself again with its own arguments.
let name = ProcessInfo.processInfo.environment["FUZZ_TARGET"] ?? ""
guard let target = Targets.named(name) else {
    print("FUZZ_TARGET must be one of: \(Targets.names.joined(separator: " "))")
    exit(2)
}
Targets.chosen = target

var argumentCount = CommandLine.argc
var arguments = CommandLine.unsafeArgv
exit(
    runDriver(&argumentCount, &arguments) { bytes, count in
        Targets.chosen?.run(FuzzInput(UnsafeRawBufferPointer(start: bytes, count: count)))
        return 0
    })
