//! Commands for a shell of Unix, as checks of every host name them, in the words of PowerShell.

/// What only firewalls and tools of Linux show, and what shows it on Windows.
const TOOLS: [(&str, &str); 2] = [
    (
        "iptables-save -t nat | grep 169.254.169.254; ss -ltnp",
        "netsh interface portproxy show all; Get-NetTCPConnection -State Listen",
    ),
    ("iptables-save -t nat | grep 169.254.169.254", "netsh interface portproxy show all"),
];
const CONNECTIONS: &str = "ss -tnp dst ";

/// The same remedy for PowerShell; `None` where it is no other.
pub(super) fn powershell(remedy: &str) -> Option<String> {
    let named = TOOLS.iter().find(|(unix, _)| remedy.contains(unix));
    let mut text = named.map_or_else(|| remedy.to_owned(), |(unix, windows)| remedy.replace(unix, windows));
    if let Some((before, host)) = text.split_once(CONNECTIONS) {
        text = format!("{before}Get-NetTCPConnection -RemoteAddress {host} | Select-Object OwningProcess");
    }
    let variables =
        text.strip_prefix("unset ").and_then(unset).or_else(|| text.strip_prefix("export ").and_then(export));
    let text = variables.unwrap_or(text);
    (text != remedy).then_some(text)
}

/// Takes variables away: `A_B C_D and what follows`.
fn unset(text: &str) -> Option<String> {
    let mut names = Vec::new();
    let mut rest = text;
    loop {
        let end = rest.find(|c: char| !is_of_name(c)).unwrap_or(rest.len());
        let (name, behind) = rest.split_at(end);
        // A word of a sentence has no such line in it.
        if !name.contains('_') {
            break;
        }
        names.push(format!("Env:{name}"));
        rest = behind;
        match rest.strip_prefix(' ').filter(|next| next.starts_with(is_of_name)) {
            Some(next) if next.split(' ').next().is_some_and(|word| word.contains('_')) => rest = next,
            _ => break,
        }
    }
    let names = (!names.is_empty()).then(|| names.join(", "))?;
    Some(format!("Remove-Item {names} -ErrorAction SilentlyContinue{rest}"))
}

/// Sets variables: `A_B=value C_D='value'; and what follows`.
fn export(text: &str) -> Option<String> {
    let mut settings = Vec::new();
    let mut rest = text;
    while let Some((name, behind)) = rest.split_once('=').filter(|(name, _)| name.chars().all(is_of_name)) {
        let (value, behind) = word(behind)?;
        settings.push(format!("$env:{name} = '{}'", value.replace('\'', "''")));
        match behind.strip_prefix(' ') {
            Some(next) => rest = next,
            None => {
                rest = behind;
                break;
            }
        }
    }
    (!settings.is_empty()).then(|| format!("{}{rest}", settings.join("; ")))
}

/// A word as a shell reads it, and what stands behind it. A quote within quotes is written `'\''`.
fn word(text: &str) -> Option<(String, &str)> {
    let Some(mut rest) = text.strip_prefix('\'') else {
        let end = text.find([' ', ';']).unwrap_or(text.len());
        let (value, behind) = text.split_at(end);
        return Some((value.to_owned(), behind));
    };
    let mut value = String::new();
    loop {
        let (piece, behind) = rest.split_once('\'')?;
        value.push_str(piece);
        match behind.strip_prefix(r"\''") {
            Some(next) => {
                value.push('\'');
                rest = next;
            }
            None => return Some((value, behind)),
        }
    }
}

const fn is_of_name(c: char) -> bool {
    c.is_ascii_alphanumeric() || c == '_'
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn each_command_of_unix_has_its_like() {
        for (unix, windows) in [
            ("unset HTTP_PROXY all_proxy", "Remove-Item Env:HTTP_PROXY, Env:all_proxy -ErrorAction SilentlyContinue"),
            (
                "unset AWS_ACCESS_KEY_ID AWS_SESSION_TOKEN (for process 7: in its unit), and start it anew",
                "Remove-Item Env:AWS_ACCESS_KEY_ID, Env:AWS_SESSION_TOKEN -ErrorAction SilentlyContinue (for process 7: in \
                 its unit), and start it anew",
            ),
            (
                "unset AWS_EC2_METADATA_DISABLED where the process gets its environment",
                "Remove-Item Env:AWS_EC2_METADATA_DISABLED -ErrorAction SilentlyContinue where the process gets its \
                 environment",
            ),
            (
                r"export NO_PROXY='it'\''s *,169.254.169.254' no_proxy=a,[fd00:ec2::254]",
                "$env:NO_PROXY = 'it''s *,169.254.169.254'; $env:no_proxy = 'a,[fd00:ec2::254]'",
            ),
            (
                "export AWS_A=5 AWS_B=5; let applications share one client: ss -tnp dst 169.254.169.254",
                "$env:AWS_A = '5'; $env:AWS_B = '5'; let applications share one client: Get-NetTCPConnection \
                 -RemoteAddress 169.254.169.254 | Select-Object OwningProcess",
            ),
            (
                "find it: iptables-save -t nat | grep 169.254.169.254; ss -ltnp",
                "find it: netsh interface portproxy show all; Get-NetTCPConnection -State Listen",
            ),
        ] {
            assert_eq!(powershell(unix).as_deref(), Some(windows), "{unix}");
        }
        for same in ["w32tm /resync", "unset what is wrong", "export", "", "aws ec2 modify-instance-metadata-options"] {
            assert_eq!(powershell(same), None, "{same}");
        }
    }

    proptest! {
        #[test]
        fn no_remedy_makes_it_panic(text in "(export |unset |)([A-Z_=' ;\\\\a-z]{0,12}){0,4}|\\PC*") {
            let _ = powershell(&text);
        }
    }
}
