//! The generator of the Kotlin, Swift and Python bindings, in the version that the library was built with.

fn main() {
    uniffi::uniffi_bindgen_main();
}
