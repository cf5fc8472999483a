//! Durations as they are written in options: `500ms`, `30s`, `5m`, `2h`, `1d`.

/// Milliseconds, or what is wrong with the text.
pub(crate) fn milliseconds(text: &str) -> Result<u64, String> {
    let digits = text.bytes().take_while(u8::is_ascii_digit).count();
    let (number, unit) = text.split_at(digits);
    let factor = match unit {
        "ms" => Some(1),
        "s" => Some(1_000),
        "m" => Some(60_000),
        "h" => Some(3_600_000),
        "d" => Some(86_400_000),
        _ => None,
    };
    let parsed = number.parse::<u64>().ok().zip(factor);
    parsed.and_then(|(number, factor)| number.checked_mul(factor)).ok_or_else(|| {
        format!("`{text}` is not a duration: write a whole number and `ms`, `s`, `m`, `h` or `d`, such as `30s`")
    })
}

/// The two ends of a backoff, `1s..10m`, in milliseconds.
pub(crate) fn backoff(text: &str) -> Result<(u64, u64), String> {
    let Some((first, last)) = text.split_once("..") else {
        return Err(format!(
            "`{text}` is not a backoff: write the wait before the first retry and the longest wait, such as `1s..10m`"
        ));
    };
    let (first, last) = (milliseconds(first)?, milliseconds(last)?);
    if first > last {
        return Err(format!(
            "`{text}` is not a backoff: the wait grows, so the second value is the larger one"
        ));
    }
    Ok((first, last))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_have_a_number_and_a_unit() {
        let good = [
            ("500ms", 500),
            ("30s", 30_000),
            ("5m", 300_000),
            ("2h", 7_200_000),
            ("1d", 86_400_000),
            ("0s", 0),
        ];
        for (text, expected) in good {
            assert_eq!(milliseconds(text), Ok(expected), "{text}");
        }
        for text in ["", "5", "s", "-1s", "1.5s", "1 s", "1S", "1w", "99999999999999999d", "+1s"] {
            assert!(milliseconds(text).is_err(), "{text}");
        }
    }

    #[test]
    fn a_backoff_grows() {
        assert_eq!(backoff("1s..10m"), Ok((1_000, 600_000)));
        assert_eq!(backoff("5s..5s"), Ok((5_000, 5_000)));
        for text in ["1s", "10m..1s", "..1s", "1s..", "1s...2s"] {
            assert!(backoff(text).is_err(), "{text}");
        }
    }
}
