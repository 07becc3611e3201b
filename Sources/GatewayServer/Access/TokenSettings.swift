// SPDX-License-Identifier: Apache-2.0

package import GatewayCore

/// The keys of `auth` that concern tokens.
package struct TokenSettings: Sendable, Equatable {
    /// `auth.secret`: each at least 32 bytes. The first one signs minted tokens.
    package var secrets: [String]
    /// `auth.public_keys`.
    package var publicKeys: [KeyFile]
    /// `auth.minting_key`.
    package var mintingKey: KeyFile?
    package var rules: TokenRules

    package init(secrets: [String] = [], publicKeys: [KeyFile] = [], mintingKey: KeyFile? = nil, rules: TokenRules = TokenRules()) {
        self.secrets = secrets
        self.publicKeys = publicKeys
        self.mintingKey = mintingKey
        self.rules = rules
    }
}
