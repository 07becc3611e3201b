// SPDX-License-Identifier: Apache-2.0

import Foundation

/// The text of Foundation's file errors: the system's message (`strerror`). Foundation hides the `errno` value in an underlying error, or omits it.
enum FileErrorText {
    static func text(_ error: any Error) -> String {
        let cause = (error as NSError).userInfo[NSUnderlyingErrorKey] as? NSError ?? error as NSError
        if cause.domain == NSPOSIXErrorDomain { return String(cString: strerror(Int32(cause.code))) }
        switch (cause as? CocoaError)?.code {
        case .fileNoSuchFile, .fileReadNoSuchFile: return String(cString: strerror(ENOENT))
        case .fileReadNoPermission, .fileWriteNoPermission: return String(cString: strerror(EACCES))
        default: return cause.localizedDescription
        }
    }
}
