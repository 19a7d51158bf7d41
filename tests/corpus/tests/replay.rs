//! Every input that fuzzing kept, run again.

use roomlet_corpus::{TARGETS, Target};
use std::{
    collections::BTreeSet,
    fs, panic,
    path::{Path, PathBuf},
    sync::atomic::{AtomicUsize, Ordering},
};

static PANICS: AtomicUsize = AtomicUsize::new(0);

fn inputs() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("inputs")
}

/// Runs a target over its folder. A panic in a task of a server counts too, though nobody waits for the task.
fn replay(name: &str) {
    let (_, target): &(&str, Target) = TARGETS
        .iter()
        .find(|(it, _)| *it == name)
        .expect("there is a target of this name");
    let mut files: Vec<PathBuf> = fs::read_dir(inputs().join(name))
        .expect("each target has a folder")
        .map(|entry| entry.expect("the folder can be read").path())
        .collect();
    files.sort();
    assert!(!files.is_empty(), "no inputs of {name}");
    let default = panic::take_hook();
    panic::set_hook(Box::new(move |info| {
        PANICS.fetch_add(1, Ordering::Relaxed);
        default(info);
    }));
    for file in files {
        let data = fs::read(&file).expect("the input can be read");
        let before = PANICS.load(Ordering::Relaxed);
        let outcome = panic::catch_unwind(|| target(&data));
        let after = PANICS.load(Ordering::Relaxed);
        assert!(outcome.is_ok() && before == after, "{} {}", name, file.display());
    }
}

macro_rules! replays {
    ($($name:ident)*) => {
        $(
            #[test]
            fn $name() {
                replay(stringify!($name));
            }
        )*

        #[test]
        fn every_target_is_replayed_and_fuzzed() {
            let names = |folder: PathBuf| -> BTreeSet<String> {
                let entries = fs::read_dir(folder).expect("the folder is there");
                entries
                    .map(|entry| entry.expect("the folder can be read").path())
                    .map(|path| path.file_stem().expect("a name").to_string_lossy().into_owned())
                    .collect()
            };
            let all: BTreeSet<String> = TARGETS.iter().map(|(name, _)| (*name).to_owned()).collect();
            let here = BTreeSet::from([$(stringify!($name).to_owned()),*]);
            let fuzzed = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fuzz/fuzz_targets");
            assert_eq!(here, all);
            assert_eq!(names(inputs()), all);
            assert_eq!(names(fuzzed), all);
        }
    };
}

replays!(id json pdu request room transaction x_matrix);
