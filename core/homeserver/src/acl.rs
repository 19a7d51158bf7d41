//! Server access control lists (FED-50).

use roomlet_wire::{
    ServerName,
    json::{Object, Raw},
};

/// Whether an `m.room.server_acl` lets a server take part.
pub(crate) fn allows(acl: Object<'_>, server: &ServerName) -> bool {
    let host = server.host().to_ascii_lowercase();
    let is_literal = host.starts_with('[') || host.parse::<std::net::Ipv4Addr>().is_ok();
    if is_literal && acl.get("allow_ip_literals").and_then(Raw::as_bool) == Some(false) {
        return false;
    }
    let listed = |name: &str| {
        let globs = acl.get(name).and_then(Raw::as_array);
        globs
            .into_iter()
            .flat_map(|globs| globs.iter())
            .filter_map(Raw::as_str)
            .any(|glob| matches(&glob.to_ascii_lowercase(), &host))
    };
    !listed("deny") && listed("allow")
}

/// Whether a glob of `*` and `?` covers the whole text; in time linear in their product (TM-15).
fn matches(glob: &str, text: &str) -> bool {
    let (glob, text): (Vec<char>, Vec<char>) = (glob.chars().collect(), text.chars().collect());
    let (mut g, mut t) = (0, 0);
    let mut star: Option<(usize, usize)> = None;
    while t < text.len() {
        match glob.get(g) {
            Some('*') => {
                star = Some((g, t));
                g += 1;
            }
            Some(&c) if c == '?' || c == text[t] => {
                g += 1;
                t += 1;
            }
            _ => match star {
                Some((star_g, star_t)) => {
                    star = Some((star_g, star_t + 1));
                    g = star_g + 1;
                    t = star_t + 1;
                }
                None => return false,
            },
        }
    }
    glob[g..].iter().all(|&c| c == '*')
}

#[cfg(test)]
mod tests {
    use super::*;
    use roomlet_wire::json::{Numbers, RawValue};

    fn check(acl: &str, server: &str) -> bool {
        let acl = RawValue::parse(acl.as_bytes(), Numbers::Strict).unwrap();
        allows(acl.as_object().unwrap(), &ServerName::parse(server).unwrap())
    }

    #[test]
    fn rules_apply_in_order() {
        let cases = [
            (r#"{"allow":["*"]}"#, "evil.example:8448", true),
            (
                r#"{"allow":["*"],"deny":["*.EVIL.example"]}"#,
                "a.evil.example",
                false,
            ),
            (
                r#"{"allow":["*"],"deny":["evil.example"]}"#,
                "evil.example:1",
                false,
            ),
            (
                r#"{"allow":["*"],"deny":["evil.example"]}"#,
                "not-evil.example",
                true,
            ),
            (r#"{"allow":["*"],"allow_ip_literals":false}"#, "1.2.3.4", false),
            (r#"{"allow":["*"],"allow_ip_literals":false}"#, "[::1]:80", false),
            (r#"{"allow":["*"],"allow_ip_literals":0}"#, "1.2.3.4", true),
            (r#"{"allow":[7,"a?c"]}"#, "abc", true),
            (r#"{"allow":["a?c"]}"#, "ac", false),
            (r#"{}"#, "a.example", false),
        ];
        for (acl, server, allowed) in cases {
            assert_eq!(check(acl, server), allowed, "{acl} {server}");
        }
    }
}
