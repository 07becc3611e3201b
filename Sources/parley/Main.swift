// SPDX-License-Identifier: Apache-2.0

import Foundation

/// The entry point of the process.
@main
enum Main {
    static func main() async {
        do throws(ProcessArguments.Fault) {
            let arguments = try ProcessArguments.read()
            // The runtime's thread pool reads /proc and aborts the process without it, so this check precedes the first thread.
            guard access("/proc/self/stat", R_OK) == 0 else { Parley.runWithoutProc(arguments) }
            await Parley.run(arguments)
        } catch {
            FileHandle.standardError.write(Data("\(error)\n".utf8))
            exit(Assembly.configurationError)
        }
    }
}
