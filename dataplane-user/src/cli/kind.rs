//! The kinds as users type them.

use similar::TextDiff;

/// A kind of object.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    ProviderNetwork,
    Host,
    VmNetwork,
    Port,
    LookupRecord,
    CustomerRoute,
}

/// What `get` can list.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Target {
    Objects(Kind),
    All,
    Drops,
    Counters,
    Upcalls,
}

impl Kind {
    /// All, in the order in which one refers to another.
    pub(super) const ALL: [Self; 6] = [
        Self::ProviderNetwork,
        Self::Host,
        Self::VmNetwork,
        Self::Port,
        Self::LookupRecord,
        Self::CustomerRoute,
    ];

    /// As in documents.
    pub(super) const fn as_str(self) -> &'static str {
        match self {
            Self::ProviderNetwork => "ProviderNetwork",
            Self::Host => "Host",
            Self::VmNetwork => "VMNetwork",
            Self::Port => "Port",
            Self::LookupRecord => "LookupRecord",
            Self::CustomerRoute => "CustomerRoute",
        }
    }

    /// Singular, as users type and see it.
    pub(super) const fn word(self) -> &'static str {
        match self {
            Self::ProviderNetwork => "providernetwork",
            Self::Host => "host",
            Self::VmNetwork => "vmnetwork",
            Self::Port => "port",
            Self::LookupRecord => "lookuprecord",
            Self::CustomerRoute => "customerroute",
        }
    }

    const fn short(self) -> &'static str {
        match self {
            Self::ProviderNetwork => "pn",
            Self::Host => "h",
            Self::VmNetwork => "vn",
            Self::Port => "p",
            Self::LookupRecord => "lr",
            Self::CustomerRoute => "cr",
        }
    }

    /// From a word in any case: singular, plural or short.
    pub(super) fn parse(text: &str) -> Result<Self, String> {
        Self::find(text).ok_or_else(|| unknown(text, &[]))
    }

    fn find(text: &str) -> Option<Self> {
        let text = text.to_ascii_lowercase();
        let singular = text.strip_suffix('s').unwrap_or(&text);
        let mut kinds = Self::ALL.into_iter();
        kinds.find(|kind| kind.word() == singular || kind.short() == text)
    }
}

impl Target {
    /// From a word in any case.
    pub(super) fn parse(text: &str) -> Result<Self, String> {
        match text.to_ascii_lowercase().as_str() {
            "all" => Ok(Self::All),
            "drop" | "drops" => Ok(Self::Drops),
            "counter" | "counters" => Ok(Self::Counters),
            "upcall" | "upcalls" => Ok(Self::Upcalls),
            _ => Kind::find(text)
                .map(Self::Objects)
                .ok_or_else(|| unknown(text, &["drops", "counters", "upcalls", "all"])),
        }
    }
}

fn unknown(text: &str, more: &[&str]) -> String {
    let words = Kind::ALL.map(Kind::word);
    let candidates = words.iter().chain(more);
    let guess = candidates
        .map(|word| (likeness(text, word), word))
        .filter(|(likeness, _)| *likeness >= 0.6)
        .max_by(|a, b| a.0.total_cmp(&b.0));
    let guess = guess.map_or(String::new(), |(_, word)| {
        format!("did you mean `{word}`? ")
    });
    let kinds: Vec<String> = Kind::ALL
        .iter()
        .map(|kind| format!("{}|{}", kind.word(), kind.short()))
        .chain(more.iter().map(ToString::to_string))
        .collect();
    format!("no such kind; {guess}kinds are {}", kinds.join(", "))
}

fn likeness(a: &str, b: &str) -> f32 {
    TextDiff::from_chars(a.to_ascii_lowercase().as_str(), b).ratio()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn kinds_are_found_by_every_name() {
        for text in ["lookuprecord", "LookupRecords", "LR"] {
            assert_eq!(Kind::parse(text), Ok(Kind::LookupRecord));
        }
        for text in ["customerroute", "CustomerRoutes", "cr"] {
            assert_eq!(Kind::parse(text), Ok(Kind::CustomerRoute));
        }
        assert_eq!(Kind::parse("hosts"), Ok(Kind::Host));
        assert_eq!(Kind::parse("h"), Ok(Kind::Host));
        assert_eq!(Target::parse("Drops"), Ok(Target::Drops));
        assert_eq!(Target::parse("upcall"), Ok(Target::Upcalls));
    }

    #[test]
    fn a_slip_is_guessed() {
        let told = Kind::parse("vmnetwrk").expect_err("unknown");
        assert!(told.contains("did you mean `vmnetwork`?"), "{told}");
        let told = Kind::parse("zzz").expect_err("unknown");
        assert!(!told.contains("did you mean"), "{told}");
        assert!(told.contains("lookuprecord|lr"), "{told}");
    }
}
