/// What breaks the rules of `meta`, where it is otherwise JSON.
enum MetaFault {
    case tooMany
    /// The key that isn't one.
    case key(at: Int)
    /// The key whose value isn't one.
    case value(of: TextSlice)
}
