/// A violation of the rules of `meta` by an object that is valid JSON.
enum MetaFault {
    case tooMany
    /// The key that isn't one.
    case key(at: Int)
    /// The key whose value isn't one.
    case value(of: TextSlice)
}
