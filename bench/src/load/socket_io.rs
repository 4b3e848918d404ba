//! The few packets of Socket.IO (over Engine.IO 4, by WebSocket) that a load needs.

/// Joins the main namespace.
pub(super) const CONNECT: &str = "40";

/// The server's, and what answers it.
pub(super) const PING: &str = "2";
pub(super) const PONG: &str = "3";

/// An event with texts that need no escapes; with an id it is acknowledged.
pub(super) fn event(id: Option<u32>, name: &str, arguments: &[&str]) -> String {
    let id = id.map_or_else(String::new, |id| id.to_string());
    format!("42{id}[\"{name}\",{}]", texts(arguments))
}

/// The acknowledgement of an event.
pub(super) fn acknowledgement(id: u32, arguments: &[&str]) -> String {
    format!("43{id}[{}]", texts(arguments))
}

fn texts(arguments: &[&str]) -> String {
    format!("\"{}\"", arguments.join("\",\""))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn packets_are_what_the_official_client_writes() {
        assert_eq!(event(Some(7), "Echo", &["hi"]), r#"427["Echo","hi"]"#);
        assert_eq!(event(None, "Say", &["a", "b"]), r#"42["Say","a","b"]"#);
        assert_eq!(acknowledgement(7, &["hi"]), r#"437["hi"]"#);
    }
}
