// SPDX-License-Identifier: Apache-2.0

import Glibc

/// The name of the machine that the process runs on, by which operators tell gateways apart.
package enum NodeName {
    package static let current: String = {
        var buffer = [CChar](repeating: 0, count: 256)
        guard gethostname(&buffer, buffer.count - 1) == 0 else { return "localhost" }
        return String(decoding: buffer.prefix { $0 != 0 }.map { UInt8(bitPattern: $0) }, as: UTF8.self)
    }()
}
