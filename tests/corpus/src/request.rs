//! From method, target and body to a typed request.

use roomlet_federation::{Inbound, route::Route};
use roomlet_wire::json::{Numbers, RawValue};

/// The input is `METHOD TARGET`, a line feed and the body. A request is read or refused, and a target whose last
/// segment is percent-encoded further asks the same.
///
/// # Panics
/// If not.
pub fn request(data: &[u8]) {
    let (head, body) = match data.iter().position(|byte| *byte == b'\n') {
        Some(end) => (&data[..end], &data[end + 1..]),
        None => (data, &[][..]),
    };
    let Ok(head) = str::from_utf8(head) else { return };
    let Some((method, target)) = head.split_once(' ') else {
        return;
    };
    let content = match body {
        [] => None,
        body => match RawValue::parse(body, Numbers::Kept) {
            Ok(content) => Some(content),
            Err(_) => return,
        },
    };
    let content = content.as_ref().map(RawValue::as_raw);
    let Ok(route) = Route::find(method, target) else {
        return;
    };
    let Ok(read) = route.read(content) else {
        return;
    };
    if ends_in_variable(&read) {
        assert_eq!(
            Inbound::parse(method, &encoded_further(target), content),
            Ok(read)
        );
    }
}

fn ends_in_variable(request: &Inbound) -> bool {
    !matches!(
        request,
        Inbound::Version
            | Inbound::ServerKeys
            | Inbound::QueryKeys { .. }
            | Inbound::QueryProfile { .. }
            | Inbound::QueryDirectory { .. }
    )
}

/// The target with every byte of its path's last segment encoded that is not part of an escape already.
fn encoded_further(target: &str) -> String {
    let (path, query) = target.split_at(target.find('?').unwrap_or(target.len()));
    let (before, last) = path.split_at(path.rfind('/').map_or(0, |slash| slash + 1));
    let mut out = before.to_owned();
    let mut escaped = 0;
    for byte in last.bytes() {
        if byte == b'%' {
            escaped = 3;
        }
        if escaped > 0 {
            escaped -= 1;
            out.push(char::from(byte));
        } else {
            out.push_str(&format!("%{byte:02x}"));
        }
    }
    out + query
}
