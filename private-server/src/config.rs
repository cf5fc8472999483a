//! The configuration file of a private server. Pure: text out of options.

use std::fmt::Write;
use std::os::unix::ffi::OsStrExt;

use crate::address::Address;
use crate::data_dir::DataDir;
use crate::error::StartError;
use crate::options::Options;

/// Renders the file that the server is started with.
pub(crate) fn render(
    options: &Options,
    data: &DataDir,
    address: &Address,
) -> Result<String, StartError> {
    let mut config = Config::default();
    config.set("daemonize", "no");
    config.set("bind", "127.0.0.1");
    config.set("protected-mode", "yes");
    config.set("dir", data.path().as_os_str().as_bytes());
    config.set("logfile", data.log_path().as_os_str().as_bytes());
    // A queue must never lose a task to eviction: out of memory is an error instead.
    config.set("maxmemory-policy", "noeviction");
    // The append-only file is the only copy on disk: no forks for snapshots nobody reads.
    config.set("save", "");
    config.set("appendonly", yes_no(options.append_only));
    config.set("appendfsync", "everysec");
    set_address(&mut config, address);
    if let Some(password) = &options.password {
        config.set("requirepass", password);
    }
    for (name, value) in &options.extra {
        if [name, value].iter().any(|text| text.contains(['\n', '\r'])) {
            return Err(StartError::BadDirective { name: name.clone() });
        }
        config.line(name, value);
    }
    Ok(config.text)
}

fn set_address(config: &mut Config, address: &Address) {
    match address {
        Address::Unix { socket, .. } => {
            config.set("port", "0");
            config.set("unixsocket", socket.as_os_str().as_bytes());
            config.set("unixsocketperm", "700");
        }
        Address::Tcp { port, bus_port } => {
            config.set("port", port.to_string());
            if let Some(bus_port) = bus_port {
                config.set("cluster-enabled", "yes");
                config.set("cluster-port", bus_port.to_string());
                // A node alone never learns its own address, but cluster clients ask for it.
                config.set("cluster-announce-ip", "127.0.0.1");
            }
        }
    }
}

fn yes_no(flag: bool) -> &'static str {
    if flag { "yes" } else { "no" }
}

#[derive(Default)]
struct Config {
    text: String,
}

impl Config {
    /// Adds a directive with one value, whatever bytes that has.
    fn set(&mut self, name: &str, value: impl AsRef<[u8]>) {
        self.line(name, &quoted(value.as_ref()));
    }

    fn line(&mut self, name: &str, value: &str) {
        self.text.push_str(name);
        self.text.push(' ');
        self.text.push_str(value);
        self.text.push('\n');
    }
}

/// One value in the quotes of `redis.conf`.
fn quoted(value: &[u8]) -> String {
    let mut text = String::from('"');
    for &byte in value {
        match byte {
            b'"' | b'\\' => text.extend(['\\', char::from(byte)]),
            b' '..=b'~' => text.push(char::from(byte)),
            _ => write!(text, "\\x{byte:02x}").expect("writing to a string cannot fail"),
        }
    }
    text.push('"');
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_of_any_bytes_are_quoted() {
        assert_eq!(quoted(b""), r#""""#);
        assert_eq!(quoted(b"a b"), r#""a b""#);
        assert_eq!(quoted(b"say \"hi\"\\"), r#""say \"hi\"\\""#);
        assert_eq!(quoted("é\n".as_bytes()), r#""\xc3\xa9\x0a""#);
    }
}
