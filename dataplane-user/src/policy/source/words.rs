//! Serde's messages, in words that say what to do.

/// Serde's message in our words, what to do, and the field that was meant.
pub(super) fn explain(message: &str, text: Option<&str>) -> (String, String, Option<String>) {
    let words: Vec<&str> = message.split('`').skip(1).step_by(2).collect();
    let unknown = |what| message.starts_with(what).then_some(what);
    let unknown = unknown("unknown field").or(unknown("unknown variant"));
    match (&*words, unknown) {
        ([wrong, known @ ..], Some(what)) => {
            let near = nearest(wrong, known);
            let hint = match near {
                Some(near) => format!("did you mean {near}?"),
                None => format!("use one of {}", known.join(", ")),
            };
            let what = what.replace("variant", "value");
            let meant = near.filter(|_| what.ends_with("field"));
            (format!("{what} `{wrong}`"), hint, meant.map(str::to_owned))
        }
        ([field, ..], None) if message.starts_with("missing field") => {
            (format!("{field} is missing"), "add it".to_owned(), None)
        }
        _ if message.starts_with("invalid type: null") => {
            let hint = "add it; the text may be cut off here".to_owned();
            ("the value is missing".to_owned(), hint, None)
        }
        _ if message.contains("expected a string") => {
            (message.to_owned(), "put it in quotes".to_owned(), None)
        }
        ([number, ..], None) if message.starts_with("invalid value: integer") => {
            (format!("{number} is out of range"), String::new(), None)
        }
        _ if text.is_some_and(|text| !message.contains(text)) => (
            format!("`{}`: {message}", text.unwrap_or_default()),
            String::new(),
            None,
        ),
        _ => (message.to_owned(), String::new(), None),
    }
}

/// The known word that `wrong` is most likely meant to be.
pub(super) fn nearest<'w>(wrong: &str, known: &[&'w str]) -> Option<&'w str> {
    let lower = wrong.to_lowercase();
    let score = |word: &&'w str| distance(&lower, &word.to_lowercase());
    let best = known.iter().copied().min_by_key(|word| score(word))?;
    (score(&best) <= 1 + best.len() / 4).then_some(best)
}

/// Edit distance (Levenshtein).
fn distance(a: &str, b: &str) -> usize {
    let b: Vec<char> = b.chars().take(64).collect();
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, x) in a.chars().take(64).enumerate() {
        let mut diagonal = row[0];
        row[0] = i + 1;
        for (j, y) in b.iter().enumerate() {
            let above = row[j + 1];
            let change = diagonal + usize::from(x != *y);
            row[j + 1] = change.min(above + 1).min(row[j] + 1);
            diagonal = above;
        }
    }
    row[b.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_nearest_word_is_near() {
        let known = ["prefixes", "gateway", "mtu"];
        assert_eq!(nearest("prefixs", &known), Some("prefixes"));
        assert_eq!(nearest("GATEWAY", &known), Some("gateway"));
        assert_eq!(nearest("colour", &known), None);
        assert_eq!(distance("", "abc"), 3);
    }
}
