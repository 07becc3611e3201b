// SPDX-License-Identifier: Apache-2.0

import GatewayServer

extension MetricFamily {
    /// The names of the time series that Prometheus stores.
    static var series: Set<String> {
        all.reduce(into: Set()) { result, family in
            if family.kind == .histogram {
                for suffix in ["_bucket", "_sum", "_count"] { result.insert(family.name + suffix) }
            } else {
                result.insert(family.name)
            }
        }
    }
}
