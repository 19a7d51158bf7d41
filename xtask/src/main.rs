//! The project's commands. `cargo xtask help` lists them; each is a file of its own here.

mod abi;
mod bench;
mod context;
mod damage;
mod demo;
mod diff;
mod fuzz;
mod header;
mod hosts;
mod interop;
mod languages;
mod layers;
mod licenses;
mod mutants;
mod parity;
mod process;
mod protocol;
mod readme;
mod rust;
mod setup;
mod sim;
mod steps;
mod torture;

use clap::{Parser, Subcommand};
use context::Context;
use std::process::ExitCode;

/// The commands of the roomlet repository.
#[derive(Parser)]
#[command(name = "cargo xtask", disable_version_flag = true)]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Plays the story of two homeservers: talk, cut, heal, kill, recover
    Demo,
    /// Runs every check and test, installing first what is missing
    Test {
        /// Run only these steps
        #[arg(long, value_delimiter = ',')]
        only: Vec<String>,
        /// Leave out these steps
        #[arg(long, value_delimiter = ',')]
        skip: Vec<String>,
        /// Print the names of the steps and stop
        #[arg(long)]
        list: bool,
    },
    /// Runs the example hosts beside Synapse
    Interop {
        /// Arguments for pytest, such as `-k "python and 11"`
        #[arg(last = true)]
        pytest: Vec<String>,
    },
    /// Runs seeded federations in virtual time
    Sim {
        /// How many seeds
        #[arg(long, default_value_t = 300)]
        seeds: u32,
    },
    /// Compares roomlet's verdicts on generated rooms with Synapse's and ruma's
    Diff {
        /// How many rooms
        #[arg(long, default_value_t = 20_000)]
        rooms: u64,
        /// The first seed
        #[arg(long, default_value_t = 0)]
        from: u64,
        /// Only these room versions
        #[arg(long, value_delimiter = ',')]
        versions: Vec<String>,
    },
    /// Makes errors in the rules on purpose and checks that the tests catch each
    Mutants {
        /// Only those whose name contains this
        #[arg(long, default_value = "")]
        only: String,
    },
    /// Feeds random bytes to the fuzz targets
    Fuzz {
        /// How long for each target
        #[arg(long, default_value_t = 60)]
        seconds: u32,
        /// One target; all, if none is named
        target: Option<String>,
    },
    /// Kills busy hosts at random moments and checks that nothing acknowledged is lost
    Torture {
        /// How many times to kill
        #[arg(long, default_value_t = 50)]
        kills: u32,
        /// Where the random choices begin
        #[arg(long, default_value_t = 1)]
        seed: u64,
    },
    /// Lets each call of a store fail in turn and checks that nothing is lost; takes minutes
    Faults,
    /// Damages files of a store at random and checks that nothing panics, hangs or grows
    Damage {
        /// How many files
        #[arg(long, default_value_t = 5_000)]
        files: u32,
    },
    /// Checks the C ABI: header, exported symbols, C99 and C++17
    Abi,
    /// Checks that every operation exists and is tested in every language
    Parity,
    /// Checks the arrows between the crates
    Layers,
    /// Checks that the rules which are cited are told in docs/protocol.md
    Protocol,
    /// Checks licences and sources of the dependencies
    Licenses,
    /// Runs the benchmarks and prints their table
    Bench {
        /// Print one JSON object instead of the table
        #[arg(long)]
        json: bool,
    },
    /// Writes the files of include/ from the sources of the C face
    Header,
    /// Runs the C tests: plain, under valgrind, with AddressSanitizer
    C,
    /// Runs the C++ tests
    Cpp,
    /// Runs the Python tests
    Python,
    /// Runs the Kotlin tests
    Kotlin,
    /// Runs the Swift tests
    Swift,
    /// Runs the programs of the README and compares them with its text
    Readme,
    /// Installs what the commands need
    Setup,
}

fn main() -> ExitCode {
    let outcome = Context::new().and_then(|context| run(&context, Arguments::parse().command));
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn run(context: &Context, command: Command) -> anyhow::Result<()> {
    match command {
        Command::Demo => demo::run(context),
        Command::Test { list: true, .. } => {
            steps::list();
            Ok(())
        }
        Command::Test {
            only,
            skip,
            list: false,
        } => steps::run(context, &only, &skip),
        Command::Interop { pytest } => interop::run(context, &pytest),
        Command::Sim { seeds } => sim::run(context, seeds),
        Command::Mutants { only } => mutants::run(context, &only),
        Command::Diff {
            rooms,
            from,
            versions,
        } => diff::run(context, rooms, from, &versions),
        Command::Fuzz { seconds, target } => fuzz::run(context, seconds, target.as_deref()),
        Command::Torture { kills, seed } => torture::run(context, kills, seed),
        Command::Faults => damage::faults(context),
        Command::Damage { files } => damage::files(context, files),
        Command::Abi => abi::run(context),
        Command::Parity => parity::run(context),
        Command::Layers => layers::run(context),
        Command::Protocol => protocol::run(context),
        Command::Licenses => licenses::run(context),
        Command::Bench { json } => bench::run(context, json),
        Command::Header => header::write(context),
        Command::C => languages::c(context),
        Command::Cpp => languages::cpp(context),
        Command::Python => languages::python(context),
        Command::Kotlin => languages::kotlin(context),
        Command::Swift => languages::swift(context),
        Command::Readme => readme::run(context),
        Command::Setup => setup::run(context),
    }
}
