//! Archives of generated rooms, and the server that the rooms are of.

use crate::{
    engine::rooms::{KEY, Room, SERVER},
    remote::published_key,
};
use async_trait::async_trait;
use roomlet_homeserver::{Code, Error, Request, Response, Result, ServerName, Transport};
use roomlet_wire::{KeyId, sign::KeyPair};
use std::{
    fs::File,
    io::{BufWriter, Write as _},
    path::Path,
    sync::Arc,
};

/// The server that the room is of: it publishes its key.
pub(crate) struct Home {
    name: ServerName,
    key: KeyPair,
}

#[async_trait]
impl Transport for Home {
    async fn send(&self, request: Request) -> Result<Response> {
        if request.target.starts_with("/_matrix/key/v2/server") {
            Ok(Response::ok(&published_key(&self.name, &self.key)))
        } else {
            let about = format!("no way to {}", request.destination);
            Err(Error::new(Code::Unreachable, about))
        }
    }
}

impl Home {
    /// The server of every generated room.
    pub(crate) fn new() -> Arc<Self> {
        Arc::new(Self {
            name: ServerName::parse(SERVER).expect("a server name"),
            key: KeyPair::from_seed(KeyId::parse(KEY).expect("a key id"), &[5; 32]),
        })
    }
}

/// An archive being written.
pub(crate) struct Archive {
    file: BufWriter<File>,
    written: usize,
}

impl Archive {
    /// A new file.
    pub(crate) fn create(path: &Path) -> Self {
        Self {
            file: BufWriter::new(File::create(path).expect("the folder can be written")),
            written: 0,
        }
    }

    /// An archive that goes on where another one of `room` ends: it has the create event, and then what comes now.
    pub(crate) fn that_goes_on(path: &Path, room: &Room) -> Self {
        let mut archive = Self::create(path);
        archive.write(room, 0);
        archive.written = room.nodes.len();
        archive
    }

    /// Writes the events that the room has got since.
    pub(crate) fn write_new(&mut self, room: &Room) {
        for number in self.written..room.nodes.len() {
            self.write(room, number);
        }
        self.written = room.nodes.len();
    }

    fn write(&mut self, room: &Room, number: usize) {
        let json = room.nodes[number].pdu.json();
        writeln!(self.file, "{json}").expect("the disk has place");
    }

    /// Ends the file.
    pub(crate) fn close(mut self) {
        self.file.flush().expect("the disk has place");
    }
}
