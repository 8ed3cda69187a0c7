//! Hides passwords in a value that is about to be shown, also where the value is no URL for some mistake.
//! In doubt it hides too much.

const MASK: &str = "***";

/// `value` with all that may be a password replaced by `***`.
pub fn masked(value: &str) -> String {
    // A file's content in place of its path: perhaps a private key.
    if value.contains("-----BEGIN") {
        return MASK.to_owned();
    }
    let mut rest = value;
    let mut shown = String::new();
    while let Some(comma) = rest.match_indices(',').map(|(at, _)| at).find(|&at| starts_entry(&rest[at + 1..])) {
        shown.push_str(&masked_entry(&rest[..comma]));
        shown.push(',');
        rest = &rest[comma + 1..];
    }
    shown + &masked_entry(rest)
}

/// Whether `name=scheme://` follows. Any other comma may be a part of a password.
fn starts_entry(text: &str) -> bool {
    let word =
        |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"_-".contains(&byte));
    let start = text.split_once("://").map_or("", |(start, _)| start);
    start.split_once('=').is_some_and(|(name, scheme)| word(name.trim()) && word(scheme.trim()))
}

fn masked_entry(entry: &str) -> String {
    let authority = authority_start(entry);
    let (head, rest) = entry.split_at(authority.unwrap_or(0));
    let Some((credentials, host)) = rest.rsplit_once('@') else {
        return if authority.is_some() { format!("{head}{}", masked_host(rest)) } else { masked_options(entry) };
    };
    let host = masked_options(&masked_query(host));
    match credentials.split_once(':') {
        // With these it is no user: another entry, with what it hides, runs into this one.
        Some((user, _)) if !user.contains(['@', '?']) => format!("{head}{user}:{MASK}@{host}"),
        // Whether a word on its own is the user or the password cannot be told.
        _ => format!("{head}{MASK}@{host}"),
    }
}

/// Where user and password may begin: behind the `://`, if no `@` comes before.
fn authority_start(entry: &str) -> Option<usize> {
    let slashes = entry.find("://")?;
    (!entry[..slashes].contains('@')).then_some(slashes + 3)
}

/// A host without credentials, and the options after it. What follows its colon must look like a port: it is a
/// password whose `@host` was forgotten otherwise.
fn masked_host(host: &str) -> String {
    // The colons of an ARN are no sign of a password.
    let (host, options) = host.split_at(host.find(";password-secret=arn:").unwrap_or(host.len()));
    let name_end = if host.starts_with('[') { host.find(']').unwrap_or(0) } else { 0 };
    match host[name_end..].find(':').map(|colon| name_end + colon + 1) {
        Some(port) if !is_port(&host[port..]) => format!("{}{MASK}", &host[..port]),
        _ => masked_options(&masked_query(&format!("{host}{options}"))),
    }
}

/// An option that is none, such as `;password=`, may hold one, and so may what stands in place of a file's path.
fn masked_options(host: &str) -> String {
    let masked = |part: &str| match part.split_once('=') {
        Some((key, value)) if !shows(key.trim(), value.trim()) => format!("{key}={MASK}"),
        _ => part.to_owned(),
    };
    host.split(';').map(masked).collect::<Vec<_>>().join(";")
}

fn shows(key: &str, value: &str) -> bool {
    match key {
        "password-file" => value.starts_with('/'),
        _ => !key.to_ascii_lowercase().contains("pass") || key == "password-secret",
    }
}

fn is_port(text: &str) -> bool {
    let end = text.find(|character: char| !character.is_ascii_digit()).unwrap_or(text.len());
    text[end..].is_empty() || text[end..].starts_with(['/', ';', '?', ' '])
}

/// Some clients take a password there.
fn masked_query(host: &str) -> String {
    match host.split_once('?') {
        Some((host, _)) => format!("{host}?{MASK}"),
        None => host.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::masked;
    use proptest::prelude::{prop_assert, proptest};

    #[test]
    fn passwords_are_masked_and_the_rest_is_shown() {
        let table = [
            ("a=redis://h1:7070,b=rediss://h2/x", "a=redis://h1:7070,b=rediss://h2/x"),
            ("a=redis://app:pw@h:7070/0;weight=2", "a=redis://app:***@h:7070/0;weight=2"),
            ("a=redis://:pw@h, b=redis://:pw@g", "a=redis://:***@h, b=redis://:***@g"),
            ("a=redis://[::1]:7070/0", "a=redis://[::1]:7070/0"),
            ("a=redis://h:7070;weight=99", "a=redis://h:7070;weight=99"),
            (
                "a=rediss://h;iam=c,b=rediss://app@h:1;password-file=/p",
                "a=rediss://h;iam=c,b=rediss://***@h:1;password-file=/p",
            ),
            (
                "a=rediss://h:1;password-secret=arn:aws:x:1:y/z#k;weight=99",
                "a=rediss://h:1;password-secret=arn:aws:x:1:y/z#k;weight=99",
            ),
            ("5 parsecs", "5 parsecs"),
            ("arn:aws:lambda:eu-west-1:1:function:f/", "arn:aws:lambda:eu-west-1:1:function:f/"),
        ];
        for (value, shown) in table {
            assert_eq!(masked(value), shown);
        }
    }

    #[test]
    fn a_password_is_masked_even_where_the_value_is_no_url() {
        let values = [
            "a=redis://app:SECRET@h:notaport",
            "a=redis://app:x@SECRET@h",
            "a=redis://app:x,SECRET/x?SECRET#SECRET@h",
            "a=redis://app:x,SECRET=x@h,b=redis://g",
            "a=redis://app:SECRET://SECRET@h",
            "a=redis://app:SECRET",
            "a=redis://SECRET@h",
            "a=app:SECRET@h",
            "app:SECRET@h://",
            ":SECRET=x@h",
            "a=redis:/app:SECRET@h",
            "a=://:SECRET@",
            "a=redis://[:SECRET@h",
            "a=redis://h?password=SECRET",
            "a=redis://u@h?password=SECRET",
            "a=redis://h,b=app:SECRET@g",
            "redis://:SECRET@é",
            "a=redis://SECRET@h,b c=redis://u:p@g",
            "a=redis://h?password=SECRET,b c=redis://u:p@g",
            "a=redis://u:x,=://SECRET,x:x@h",
            "a=redis://h;password=SECRET",
            "a=redis://app:x@h;Password = SECRET;weight=1",
            "a=redis://h;pass=SECRET;weight=1",
            "a=redis://h;password-file=SECRET",
            "a=h;password-file=SECRET",
            ";password=SECRET",
            "a=redis://app:SECRET;password-secret=arn:aws",
            "-----BEGIN PRIVATE KEY-----\nSECRET\n-----END PRIVATE KEY-----",
        ];
        for value in values {
            assert!(!masked(value).contains("SECRET"), "{value} -> {}", masked(value));
        }
    }

    proptest! {
        #[test]
        fn any_password_between_a_scheme_and_a_host_is_masked(
            before in r"[ -~é]{0,12}", after in r"[ -~é]{0,12}", entries in 1..3_usize,
        ) {
            let list = vec![format!("a=redis://app:{before}SECRET{after}@h"); entries].join(",");
            prop_assert!(!masked(&list).contains("SECRET"), "{list} -> {}", masked(&list));
        }
    }
}
