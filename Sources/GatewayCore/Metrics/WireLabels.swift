// SPDX-License-Identifier: Apache-2.0

// The labels whose texts are part of other contracts: error codes, endings, reasons, quotas.

extension ErrorCode: MetricLabel {
    private static let all = allCases

    package var ordinal: Int { Self.all.firstIndex(of: self) ?? 0 }
}

extension SessionEnding: MetricLabel {
    private static let all = allCases

    package var ordinal: Int { Self.all.firstIndex(of: self) ?? 0 }
}

extension CancelReason: MetricLabel {
    private static let all = allCases

    package var ordinal: Int { Self.all.firstIndex(of: self) ?? 0 }
}

extension Quota: MetricLabel {
    package var ordinal: Int { Self.allCases.firstIndex(of: self) ?? 0 }
    package var label: String { name }
}
