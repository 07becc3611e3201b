// SPDX-License-Identifier: Apache-2.0

/// The sections of a ``GatewayConfiguration`` that have fixed names: `listen`, `tls`, …
package enum ConfigurationSection {}
