// SPDX-License-Identifier: Apache-2.0

import GatewayCore

/// The settings of a ``JWKSetSource``.
package struct JWKSetSettings: Sendable, Equatable {
    /// `auth.jwks_file`
    package var file: String?
    /// `auth.jwks_url`: an `https` URL.
    package var url: UpstreamURL?
    /// `auth.jwks_ca`: PEM file of authorities that are trusted in addition to the system's.
    package var authority: String?
    /// `auth.jwks_refresh`
    package var refresh = Duration.seconds(3600)
    /// `auth.jwks_minimum_interval`
    package var minimumInterval = Duration.seconds(30)
    /// Whether the gateway is ready without a JWK set: other keys verify tokens, or clients need no token.
    package var hasOtherKeys = false

    package init(
        file: String? = nil, url: UpstreamURL? = nil, authority: String? = nil, refresh: Duration = .seconds(3600),
        minimumInterval: Duration = .seconds(30), hasOtherKeys: Bool = false
    ) {
        self.file = file
        self.url = url
        self.authority = authority
        self.refresh = refresh
        self.minimumInterval = minimumInterval
        self.hasOtherKeys = hasOtherKeys
    }

    var schedule: RefreshSchedule { RefreshSchedule(interval: .init(refresh), minimumInterval: .init(minimumInterval)) }
}

extension JWKSetSettings {
    /// The settings of `auth.jwks_*`.
    package init(_ configuration: GatewayConfiguration) {
        let auth = configuration.auth
        self.init(
            file: auth.jwksFile, url: auth.jwksURL, authority: auth.jwksCA, refresh: auth.jwksRefresh,
            minimumInterval: auth.jwksMinimumInterval,
            // Without any configured source the generated key verifies minted tokens; otherwise it doesn't count.
            hasOtherKeys: auth.mode != .jwt || !auth.secrets.isEmpty || !auth.publicKeys.isEmpty || auth.mintingKey != nil
                || auth.jwksFile == nil && auth.jwksURL == nil)
    }
}
