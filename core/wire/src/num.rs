//! Small integers that stand for things inside one room or one store.

macro_rules! num {
    ($(#[$doc:meta])* $name:ident($inner:ty)) => {
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Default)]
        pub struct $name(pub $inner);
    };
}

num! {
    /// A room in one store; given once, never reused.
    RoomNum(u32)
}
num! {
    /// An event in one room, numbered in the order in which this server stored it.
    EventNum(u32)
}
num! {
    /// A (type, state key) pair in one room.
    SlotNum(u32)
}
num! {
    /// A state of one room (a map from slots to events), equal numbers being equal states.
    StateNum(u32)
}
num! {
    /// A position in the update stream of one store; the stream's next entry has a greater one.
    StreamPos(u64)
}
