// swift-tools-version: 6.0
// Two parts of this package are made by the build, not kept here: `uniffi-bindgen` generates
// Sources/RoomletGenerated/roomlet.swift and Sources/roomletFFI/roomletFFI.h, and lib/ holds libroomlet.so.
import PackageDescription

let library = "\(Context.packageDirectory)/lib"

let package = Package(
    name: "Roomlet",
    platforms: [.macOS(.v13), .iOS(.v16)],
    products: [.library(name: "Roomlet", targets: ["Roomlet"])],
    targets: [
        .systemLibrary(name: "roomletFFI"),
        // The compiler fails on the generated file in the Swift 6 mode.
        .target(name: "RoomletGenerated", dependencies: ["roomletFFI"], swiftSettings: [.swiftLanguageMode(.v5)]),
        .target(
            name: "Roomlet",
            dependencies: ["RoomletGenerated"],
            linkerSettings: [.unsafeFlags(["-L\(library)", "-Xlinker", "-rpath", "-Xlinker", library])]
        ),
        .executableTarget(name: "Minimal", dependencies: ["Roomlet"], path: "Examples"),
        .testTarget(name: "RoomletTests", dependencies: ["Roomlet", "RoomletGenerated", "Minimal"]),
    ]
)
