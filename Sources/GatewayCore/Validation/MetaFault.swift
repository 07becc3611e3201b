// SPDX-License-Identifier: Apache-2.0

/// A violation of the rules of `meta` in valid JSON.
enum MetaFault {
    case tooMany
    /// An invalid key at this offset.
    case key(at: Int)
    /// An invalid value of this key.
    case value(of: TextSlice)
}
