import Foundation

/// libFuzzer's own loop, for programs with a `main` of their own (`-fsanitize=fuzzer` without one takes it from the library).
@_silgen_name("LLVMFuzzerRunDriver")
private func runDriver(
    _ argumentCount: UnsafeMutablePointer<CInt>,
    _ arguments: UnsafeMutablePointer<UnsafeMutablePointer<UnsafeMutablePointer<CChar>?>>,
    _ body: @convention(c) (UnsafePointer<UInt8>?, Int) -> CInt
) -> CInt

// An environment variable and no argument: libFuzzer starts itself anew with its arguments to merge and to minimize.
let name = ProcessInfo.processInfo.environment["FUZZ_TARGET"] ?? ""
guard let target = Targets.named(name) else {
    print("FUZZ_TARGET is one of: \(Targets.names.joined(separator: " "))")
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
