import RoomletGenerated

/// One federation request. An HTTP host sends it as it is to its destination.
public typealias Request = RoomletGenerated.Request

/// The response to a ``Request``.
public typealias Response = RoomletGenerated.Response

/// Limits that are the host's policy; made without arguments, the defaults.
public typealias Limits = RoomletGenerated.Limits

/// Who can join a new room, and who may do what in it.
public typealias Preset = RoomletGenerated.Preset

/// What a check of the store found.
public typealias StoreReport = RoomletGenerated.StoreReport

/// What became of the events of an archive.
public typealias ImportReport = RoomletGenerated.ImportReport

/// An event as users see it.
public typealias RoomEvent = RoomletGenerated.RoomEvent

/// Which way a page of a timeline goes.
public typealias Direction = RoomletGenerated.Direction

/// A page of a timeline.
public typealias Page = RoomletGenerated.Page

/// A member of a room's current state.
public typealias Member = RoomletGenerated.Member

/// A room of a local user.
public typealias RoomSummary = RoomletGenerated.RoomSummary

/// An entry of the update stream: its position `pos`, to resume after it, and the `update`.
public typealias UpdateEntry = RoomletGenerated.UpdateEntry

/// What happened in a room of a local user.
public typealias RoomUpdate = RoomletGenerated.RoomUpdate

/// How much a log line matters.
public typealias LogLevel = RoomletGenerated.LogLevel
