import Foundation

/// What Foundation's errors about files say to a person: the system's own words, which it keeps one level down.
enum FileFailure {
    static func text(_ error: any Error) -> String {
        let cause = (error as NSError).userInfo[NSUnderlyingErrorKey] as? NSError ?? error as NSError
        return cause.domain == NSPOSIXErrorDomain ? String(cString: strerror(Int32(cause.code))) : cause.localizedDescription
    }
}
