//! Where requests end: the proxy forwards only whole ones, so that it can say which one was carried
//! out and which was not. For well-formed requests, as clients send them.

/// How many bytes at the start of `bytes` are complete requests.
pub(super) fn complete_requests(bytes: &[u8]) -> usize {
    let mut complete = 0;
    while let Some(length) = request_length(&bytes[complete..]) {
        complete += length;
    }
    complete
}

/// The length of the first request: an array of strings, or a line. `None` if it is not complete.
fn request_length(bytes: &[u8]) -> Option<usize> {
    let (mut strings, mut end) = line(bytes)?;
    if bytes[0] != b'*' {
        return Some(end);
    }
    while strings > 0 {
        let (length, header) = line(bytes.get(end..)?)?;
        end += header + length + "\r\n".len();
        strings -= 1;
    }
    (end <= bytes.len()).then_some(end)
}

/// The number in the first line, after its first byte (0 if there is none), and the line's length.
fn line(bytes: &[u8]) -> Option<(usize, usize)> {
    let end = bytes.iter().position(|&byte| byte == b'\n')?;
    let number = bytes.get(1..end).and_then(|line| str::from_utf8(line).ok());
    let number = number.and_then(|line| line.trim_end().parse().ok());
    Some((number.unwrap_or(0), end + 1))
}

#[cfg(test)]
mod tests {
    use super::*;

    const TWO: &[u8] = b"*2\r\n$3\r\nGET\r\n$4\r\na\r\nb\r\n*1\r\n$4\r\nPING\r\n";
    const FIRST: usize = 23;

    #[test]
    fn a_request_is_complete_with_its_last_byte() {
        for length in 0..=TWO.len() {
            let expected = match length {
                0..FIRST => 0,
                _ if length < TWO.len() => FIRST,
                _ => TWO.len(),
            };
            assert_eq!(complete_requests(&TWO[..length]), expected, "{length} bytes");
        }
    }

    #[test]
    fn a_line_is_a_request_too() {
        assert_eq!(complete_requests(b"PING\r\nGET a\r\nGE"), 13);
        assert_eq!(complete_requests(b"\r\n"), 2);
    }
}
