// SPDX-License-Identifier: Apache-2.0

import GatewayCore
import Testing

@Suite struct SessionEndingTests {
    @Test func `a close code maps to an ending if and only if it ends the session`() {
        let endings = CloseCode.allCases.map { SessionEnding($0) }
        for (code, ending) in zip(CloseCode.allCases, endings) { #expect((ending != nil) == code.endsSession, "\(code)") }
    }
}
