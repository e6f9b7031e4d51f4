//! `docs/drop-reasons.md`, from the enum that the programs count by.

use std::io::{self, Write};

use dataplane_common::reason::DropReason;

/// The page.
pub fn drop_reasons_into(out: &mut impl Write) -> io::Result<()> {
    out.write_all(HEAD.as_bytes())?;
    for reason in DropReason::ALL {
        writeln!(
            out,
            "| {} | `{}` | {} | {} |",
            reason.number(),
            reason.as_str(),
            reason.direction(),
            reason.describe().trim(),
        )?;
    }
    Ok(())
}

const HEAD: &str = "\
# Drop reasons

<!-- Generated from dataplane-common/src/reason.rs; to renew it: NVE_BLESS=1 cargo test -p dataplane-user drop_reasons -->

Every packet that the dataplane drops is counted under exactly one of these reasons, for the port
that it concerns (`uplink` where it concerns none) and for its direction as the tenant sees it:
egress is from a port into the underlay, ingress from the underlay to a port. `nvectl get drops`
shows the counts, `nvectl get drops -o wide` the sentences as well.

Numbers and names are stable: new reasons are appended, none is used again.

| number | reason | direction | what happened |
|---:|---|---|---|
";

#[cfg(test)]
mod tests {
    use std::{env, fs};

    use super::*;

    #[test]
    fn the_page_is_up_to_date() {
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/drop-reasons.md");
        let mut page = Vec::new();
        drop_reasons_into(&mut page).expect("written");
        let page = String::from_utf8(page).expect("UTF-8");
        if env::var_os("NVE_BLESS").is_some() {
            fs::write(path, &page).expect(path);
        }
        let committed = fs::read_to_string(path).unwrap_or_default();
        assert!(
            committed == page,
            "docs/drop-reasons.md is out of date; run `NVE_BLESS=1 cargo test -p dataplane-user drop_reasons` and commit it"
        );
    }
}
