// SPDX-License-Identifier: Apache-2.0

import GatewayCore

extension ParleyClient.AudioFormat {
    /// The format of the protocol; nil if the rate or the number of channels is out of bounds.
    var wire: GatewayCore.AudioFormat? {
        guard let codec = GatewayCore.AudioFormat.Codec(rawValue: codec.rawValue), GatewayCore.AudioFormat.rates.contains(rate),
            GatewayCore.AudioFormat.channelCounts.contains(channels)
        else { return nil }
        return GatewayCore.AudioFormat(codec: codec, rate: rate, channels: channels)
    }
}
