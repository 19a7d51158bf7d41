//! A federation request and its response, whatever carries them (FED-1, FED-2).

use crate::{
    base64,
    error::{Code, Error, Result},
    id::{KeyId, ServerName},
    json::{self, Map, Raw, Value},
    sign::{KeyPair, PublicKey},
};
use alloc::{
    collections::BTreeMap,
    format,
    string::{String, ToString},
    vec::Vec,
};

/// One federation request. An HTTP host sends it as it is to `destination`.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Request {
    /// The server it is for, before any discovery. For inbound requests: this server.
    pub destination: ServerName,
    /// `GET`, `PUT`, `POST`.
    pub method: String,
    /// Path and query exactly as on the wire, from `/_matrix`.
    pub target: String,
    /// The value of each `Authorization` header.
    pub authorization: Vec<String>,
    /// The body; empty if there is none.
    pub body: Vec<u8>,
}

/// The response to a [`Request`].
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Response {
    /// The HTTP status.
    pub status: u16,
    /// The body: JSON.
    pub body: Vec<u8>,
}

impl Response {
    /// 200 with a JSON object.
    #[must_use]
    pub fn ok(body: &Map) -> Self {
        Self {
            status: 200,
            body: json::map_to_canonical(body).into_bytes(),
        }
    }

    /// 200 with a JSON list, as the first versions of some endpoints answer.
    #[must_use]
    pub fn ok_list(body: Vec<Value>) -> Self {
        Self {
            status: 200,
            body: json::to_canonical(&Value::Array(body)).into_bytes(),
        }
    }

    /// The response that tells a peer of `error`: status, `errcode`, `error`.
    #[must_use]
    pub fn error(error: &Error) -> Self {
        let mut body = Map::new();
        body.insert("errcode".to_string(), error.errcode().into());
        body.insert("error".to_string(), error.for_peers().into());
        if let Some(version) = error.room_version() {
            body.insert("room_version".to_string(), version.into());
        }
        Self {
            status: error.status(),
            body: json::map_to_canonical(&body).into_bytes(),
        }
    }
}

/// The parameters of one `Authorization: X-Matrix` header (FED-2).
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct XMatrix {
    /// The server that sent the request, and signed it.
    pub origin: ServerName,
    /// The server that the request is for, if the header says so.
    pub destination: Option<ServerName>,
    /// The key that signed it.
    pub key: KeyId,
    /// The signature: 64 bytes in base64.
    pub sig: String,
}

impl XMatrix {
    /// Reads one header value as leniently as FED-2 says.
    ///
    /// # Errors
    /// [`Code::Unauthorized`], naming what is wrong.
    pub fn parse(header: &str) -> Result<Self> {
        let header = header.trim_matches(BLANK);
        let (scheme, rest) = header.split_once(BLANK).unwrap_or((header, ""));
        if !scheme.eq_ignore_ascii_case("X-Matrix") {
            return Err(refused("the scheme is not `X-Matrix`"));
        }
        let mut parameters = parameters(rest)?;
        let mut take = |name: &str| parameters.remove(name);
        let mut need = |name: &str| take(name).ok_or_else(|| refused(&format!("no parameter `{name}`")));
        let origin = need("origin")?;
        let key = need("key")?;
        let sig = need("sig")?;
        if base64::decode_array::<64>(&sig).is_none() {
            return Err(refused("`sig` is not 64 bytes in base64 (ID-17)"));
        }
        let destination = take("destination");
        let server = |name: &str| ServerName::parse(name).map_err(|e| refused(e.about()));
        Ok(Self {
            origin: server(&origin)?,
            destination: destination.map(|d| server(&d)).transpose()?,
            key: KeyId::parse(&key).map_err(|e| refused(e.about()))?,
            sig,
        })
    }

    /// Prints it as strictly as FED-2 says.
    #[must_use]
    pub fn to_header(&self) -> String {
        let mut out = format!("X-Matrix origin=\"{}\"", self.origin);
        if let Some(destination) = &self.destination {
            out.push_str(&format!(",destination=\"{destination}\""));
        }
        // A key's algorithm may be of any characters; names of servers and base64 hold none to be escaped.
        let key = self.key.replace('\\', "\\\\").replace('"', "\\\"");
        out.push_str(&format!(",key=\"{key}\",sig=\"{}\"", self.sig));
        out
    }

    /// Signs a request of `origin` and gives the header value; `content` is the body, if there is one.
    #[must_use]
    pub fn sign(
        origin: &ServerName,
        key: &KeyPair,
        destination: &ServerName,
        method: &str,
        target: &str,
        content: Option<Raw<'_>>,
    ) -> String {
        let message = signing_form(origin, destination, method, target, content);
        let sig = key.sign(message.as_bytes());
        let key = key.id().clone();
        Self {
            origin: origin.clone(),
            destination: Some(destination.clone()),
            key,
            sig,
        }
        .to_header()
    }

    /// Checks this header's signature over a request that arrived at `me`. `content` may
    /// hold any number, as what the sender signed may. That `key` is the sender's and valid now
    /// (EV-18) is the caller's to know.
    ///
    /// # Errors
    /// [`Code::Unauthorized`]: wrong destination, bad signature.
    pub fn verify(
        &self,
        key: &PublicKey,
        me: &ServerName,
        method: &str,
        target: &str,
        content: Option<Raw<'_>>,
    ) -> Result<()> {
        if let Some(destination) = &self.destination
            && destination != me
        {
            return Err(refused(&format!(
                "the request is for {destination}, this is {me} (FED-3)"
            )));
        }
        let message = signing_form(&self.origin, me, method, target, content);
        if self.key.is_ed25519() && key.verifies_base64(message.as_bytes(), &self.sig) {
            Ok(())
        } else {
            let (origin, key) = (&self.origin, &self.key);
            Err(refused(&format!(
                "the signature of {origin} with {key} does not verify"
            )))
        }
    }
}

/// What a request's signature is over (FED-1): an object, printed without building it around a copied body.
fn signing_form(
    origin: &str,
    destination: &str,
    method: &str,
    target: &str,
    content: Option<Raw<'_>>,
) -> String {
    let texts = Map::from([
        ("destination".into(), destination.into()),
        ("method".into(), method.into()),
        ("origin".into(), origin.into()),
        ("uri".into(), target.into()),
    ]);
    let rest = json::map_to_canonical(&texts);
    match content {
        None => rest,
        Some(content) => format!("{{\"content\":{},{}", content.text(), &rest[1..]),
    }
}

const BLANK: [char; 2] = [' ', '\t'];

fn refused(what: &str) -> Error {
    Error::new(Code::Unauthorized, format!("Authorization header: {what}"))
}

/// `name=value` pairs between commas, names in lower case. A value is a token or a quoted string; blanks may stand
/// around commas and `=`, list elements may be empty.
fn parameters(text: &str) -> Result<BTreeMap<String, String>> {
    let mut out = BTreeMap::new();
    let mut rest = text;
    loop {
        rest = rest.trim_start_matches([' ', '\t', ',']);
        if rest.is_empty() {
            return Ok(out);
        }
        let (name, after) = rest
            .split_once('=')
            .ok_or_else(|| refused("a parameter has no `=`"))?;
        let name = name.trim_end_matches(BLANK).to_ascii_lowercase();
        if name.is_empty() || !name.bytes().all(is_token) {
            return Err(refused("a parameter's name is no token"));
        }
        let (value, after) = value(after.trim_start_matches(BLANK))?;
        let after = after.trim_start_matches(BLANK);
        if !after.is_empty() && !after.starts_with(',') {
            return Err(refused(&format!("`,` is needed after the parameter `{name}`")));
        }
        rest = after;
        if out.contains_key(&name) {
            return Err(refused(&format!("the parameter `{name}` occurs twice")));
        }
        out.insert(name, value);
    }
}

/// A parameter's value and what follows it.
fn value(text: &str) -> Result<(String, &str)> {
    let Some(quoted) = text.strip_prefix('"') else {
        // Server names and key ids were sent unquoted once, so a colon does not end a token here.
        let end = text.find([' ', '\t', ',']).unwrap_or(text.len());
        let (token, after) = text.split_at(end);
        if token.is_empty() || token.contains(['"', '\\']) {
            return Err(refused(
                "a parameter's value is neither a token nor a quoted string",
            ));
        }
        return Ok((token.to_string(), after));
    };
    let mut value = String::new();
    let mut chars = quoted.char_indices();
    while let Some((i, c)) = chars.next() {
        match c {
            '"' => return Ok((value, &quoted[i + 1..])),
            '\\' => match chars.next() {
                Some((_, escaped)) => value.push(escaped),
                None => break,
            },
            other => value.push(other),
        }
    }
    Err(refused("a quoted string has no end"))
}

fn is_token(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte)
}
