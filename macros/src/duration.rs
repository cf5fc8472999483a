//! Durations as they are written in options: `500ms`, `30s`, `5m`, `2h`, `1d`.

/// Most waits that the protocol takes.
const MAX_DELAYS: usize = 32;

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

/// A backoff in the units of the protocol.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Backoff {
    pub(crate) base_ms: u64,
    pub(crate) cap_ms: u64,
    pub(crate) delays_ms: Vec<u64>,
    pub(crate) exact: bool,
}

/// Growing waits `1s..10m`, the same wait `30s`, or listed ones `1s,10s,5m`; followed by `jitter` or
/// `exact` if it is not to be as usual: growing waits have jitter, the others are exact.
pub(crate) fn backoff(text: &str) -> Result<Backoff, String> {
    let (waits, exact) = match text.trim_end().rsplit_once(' ') {
        Some((waits, "jitter")) => (waits, Some(false)),
        Some((waits, "exact")) => (waits, Some(true)),
        _ => (text, None),
    };
    if let Some((first, last)) = waits.split_once("..") {
        let (base_ms, cap_ms) = (milliseconds(first.trim())?, milliseconds(last.trim())?);
        if base_ms > cap_ms {
            return Err(format!(
                "`{text}` is not a backoff: the wait grows, so the second value is the larger one"
            ));
        }
        return Ok(Backoff {
            base_ms,
            cap_ms,
            delays_ms: Vec::new(),
            exact: exact.unwrap_or(false),
        });
    }
    let listed: Result<Vec<u64>, _> =
        waits.split(',').map(|wait| milliseconds(wait.trim())).collect();
    let listed = listed.map_err(|_| {
        format!(
            "`{text}` is not a backoff: write `1s..10m` for growing waits, `30s` for one that is always the same, or `1s,10s,5m`; then `jitter` or `exact` if you like"
        )
    })?;
    if listed.len() > MAX_DELAYS {
        return Err(format!("`{text}` is not a backoff: at most {MAX_DELAYS} waits can be listed"));
    }
    let (base_ms, cap_ms) = (listed[0], listed.iter().copied().max().unwrap_or(0));
    let delays_ms = if listed.len() > 1 { listed } else { Vec::new() };
    Ok(Backoff { base_ms, cap_ms, delays_ms, exact: exact.unwrap_or(true) })
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
    fn a_backoff_grows_or_not() {
        let read = |text: &str| {
            let Backoff { base_ms, cap_ms, delays_ms, exact } = backoff(text).expect(text);
            (base_ms, cap_ms, delays_ms, exact)
        };
        assert_eq!(read("1s..10m"), (1_000, 600_000, vec![], false));
        assert_eq!(read("5s..5s exact"), (5_000, 5_000, vec![], true));
        assert_eq!(read("30s"), (30_000, 30_000, vec![], true));
        assert_eq!(read("30s jitter"), (30_000, 30_000, vec![], false));
        assert_eq!(read("1s, 1m,5s"), (1_000, 60_000, vec![1_000, 60_000, 5_000], true));
        assert_eq!(read("1s,2s jitter"), (1_000, 2_000, vec![1_000, 2_000], false));
        let many = vec!["1s"; MAX_DELAYS + 1].join(",");
        for text in
            ["", "1", "10m..1s", "..1s", "1s..", "1s...2s", "1s,", "1s often", "jitter", &many]
        {
            assert!(backoff(text).is_err(), "{text}");
        }
    }
}
