//! The Kotlin compiler and the libraries of the Kotlin tests, as jars from Maven Central.

use super::once;
use crate::{
    context::Context,
    process::{command, run_logged},
};
use anyhow::Result;
use std::fs;

const POM: &str = include_str!("kotlin-pom.xml");

/// Fetches the jars into one folder.
pub(super) fn install(context: &Context) -> Result<()> {
    let folder = context.cache.join("kotlin");
    once(&folder, "Kotlin compiler and libraries", POM, || {
        fs::write(folder.join("pom.xml"), POM)?;
        let jars = context.kotlin_jars();
        if jars.exists() {
            fs::remove_dir_all(&jars)?;
        }
        let mut maven = command(
            "mvn",
            [
                "--batch-mode",
                "dependency:copy-dependencies",
                "-DoutputDirectory=jars",
            ],
        );
        run_logged(maven.current_dir(&folder), &context.cache.join("log/kotlin.log"))
    })
}
