//! Messages as they go over the wire: a header with the length, an empty line, and JSON.

use std::io::{self, BufRead, Write};

use serde_json::Value;

/// Longest message that is read, bytes: far beyond any rule file.
const BYTES_MAX: usize = 64 << 20;

/// The next message; `None` where the other side has closed.
///
/// # Errors
/// Where it cannot be read, has no length, or is no JSON.
pub(super) fn read(input: &mut impl BufRead) -> io::Result<Option<Value>> {
    let mut length = None;
    let mut line = String::new();
    loop {
        line.clear();
        if input.read_line(&mut line)? == 0 {
            return Ok(None);
        }
        let header = line.trim();
        if header.is_empty() {
            break;
        }
        if let Some((name, value)) = header.split_once(':')
            && name.eq_ignore_ascii_case("content-length")
        {
            length = value.trim().parse::<usize>().ok().filter(|n| *n <= BYTES_MAX);
        }
    }
    let length = length.ok_or_else(|| {
        io::Error::new(io::ErrorKind::InvalidData, "a message without a usable Content-Length")
    })?;
    let mut bytes = vec![0; length];
    input.read_exact(&mut bytes)?;
    Ok(Some(serde_json::from_slice(&bytes)?))
}

/// Writes a message.
///
/// # Errors
/// Where the other side takes no more.
pub(super) fn write(output: &mut impl Write, message: &Value) -> io::Result<()> {
    let text = message.to_string();
    write!(output, "Content-Length: {}\r\n\r\n{text}", text.len())?;
    output.flush()
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn what_is_written_is_read() {
        let mut wire = Vec::new();
        let messages = [json!({"a": "甲"}), json!([])];
        messages.iter().for_each(|m| write(&mut wire, m).expect("memory takes it"));
        let mut wire = &wire[..];
        for message in messages {
            assert_eq!(read(&mut wire).expect("is whole"), Some(message));
        }
        assert_eq!(read(&mut wire).expect("is over"), None);
        assert!(read(&mut &b"X: 1\r\n\r\n"[..]).is_err());
        assert!(read(&mut &b"content-length: 9\r\n\r\n{}"[..]).is_err());
    }
}
