// SPDX-License-Identifier: Apache-2.0

import GatewayCore

extension [UInt8] {
    /// Calls a throwing `body` with all bytes.
    func withRawSpanThrowing<Result>(_ body: (RawSpan) throws(ResponseFault) -> Result) throws(ResponseFault) -> Result {
        try body(span.bytes)
    }
}
