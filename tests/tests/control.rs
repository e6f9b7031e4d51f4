//! The control socket under bad manners: crowds, garbage, silence, and other owners.

use anyhow::{Context, Result, ensure};
use dataplane_tests::net::{
    SOON, Site, proof, refused,
    socket::{NOBODY, answer_to, as_nobody, crowd, nvectl_as_nobody, until_closed},
    stream::Stream,
};
use rustix::process::{Pid, Resource, Rlimit, prlimit};
use std::{
    fmt::Write as _,
    fs,
    io::{Read, Write},
    os::unix::{
        fs::{FileTypeExt, MetadataExt, chown},
        net::UnixStream,
    },
    path::PathBuf,
    time::Duration,
};
use xtask::lab::{BPFFS, PATIENCE, bin_dir, output, unique, wait_until};

/// More than a service of this kind ever has.
const THOUSAND: usize = 1_200;
/// How long `nved` may take to stop, whoever is connected: two seconds of grace and a
/// machine that does other things.
const STOP: Duration = Duration::from_secs(15);

fn socket(site: &Site) -> PathBuf {
    site.nves[0].spec().socket()
}

/// Lets [`NOBODY`] read.
fn let_in(site: &Site) -> Result<()> {
    chown(socket(site), None, Some(NOBODY)).context("cannot change the socket's group")
}

/// The agent still does everything.
fn serves(site: &mut Site) -> Result<()> {
    let pid = site.nves[0].pid();
    let mtu = |mtu: u32| {
        site.demo()
            .replacen("10.0.0.0/24]", &format!("10.0.0.0/24]\n    mtu: {mtu}"), 1)
    };
    for mtu in [1400, 1410].map(mtu) {
        let said = site.apply(0, &mtu)?;
        ensure!(said.stderr.contains("configured"), "{}", said.stderr);
    }
    site.ready()?;
    ensure!(site.nves[0].pid() == pid, "it is another process");
    Ok(())
}

#[test]
#[ignore = "needs root: cargo xtask test"]
fn a_thousand_connections_keep_nobody_out() {
    proof(Site::alone("ctlcrowd"), |site| {
        let_in(site)?;
        let at = socket(site);
        let others = as_nobody(|| crowd(&at, THOUSAND))?;
        let ours = crowd(&at, THOUSAND)?;
        let read = nvectl_as_nobody(site, 0, &["get", "ports"])?.success()?;
        ensure!(read.stdout.contains("blue-vm1"), "{}", read.stdout);
        site.nvectl(0, &["status", "--wait=20"])?.success()?;
        site.apply(0, &site.demo())?;
        drop((others, ours));
        serves(site)
    });
}

#[test]
#[ignore = "needs root: cargo xtask test"]
fn root_gets_in_when_others_have_all_their_seats() {
    proof(Site::bare("ctlfull", &["blue-vm1", "red-vm1"]), |site| {
        let nved = bin_dir()?.join("nved");
        let script = format!(
            "#!/bin/sh\nexec prlimit --nofile=600:600 {} \"$@\"\n",
            nved.display()
        );
        let program = site.program("few-files", script)?;
        site.start_as(0, "tc", |spec| spec.program = Some(program))?;
        site.apply(0, &site.demo())?;
        site.ready()?;
        let_in(site)?;
        let at = socket(site);
        // 300 seats, of which 225 are for others; `nved` ends what stays silent, so the
        // crowd comes again until somebody is turned away.
        let (told, crowd) = wait_until("a refusal", SOON, || {
            let crowd = as_nobody(|| crowd(&at, 290))?;
            let told = nvectl_as_nobody(site, 0, &["get", "ports"])?;
            Ok((told.code() != 0).then_some((told, crowd)))
        })?;
        ensure!(
            told.stderr.contains("too many connections"),
            "{}",
            told.stderr
        );
        site.nvectl(0, &["status"])?.success()?;
        site.apply(0, &site.demo())?;
        drop(crowd);
        nvectl_as_nobody(site, 0, &["get", "ports"])?.success()?;
        serves(site)
    });
}

#[test]
#[ignore = "needs root: cargo xtask test"]
fn no_file_left_to_open_is_no_end() {
    proof(Site::up("ctlfiles", "tc"), |site| {
        let (vm, far) = (site.vm("blue-vm1"), site.vm("blue-vm2"));
        let (out, back) = (
            Stream::start(vm, far, "10.0.0.7", 1000)?,
            Stream::start(far, vm, "10.0.0.5", 1000)?,
        );
        out.flows(500)?;
        back.flows(500)?;
        let pid = site.nves[0].pid().context("no nved")?;
        let open = fs::read_dir(format!("/proc/{pid}/fd"))?.count() as u64;
        let process = Pid::from_raw(i32::try_from(pid)?);
        let limit = |current| Rlimit {
            current: Some(current),
            maximum: Some(20_000),
        };
        let before = prlimit(process, Resource::Nofile, limit(open + 8))?;
        let held = crowd(&socket(site), 100)?;
        let log = "cannot take a connection to the control socket";
        wait_until(log, SOON, || {
            Ok(site.nves[0].log().contains(log).then_some(()))
        })?;
        let busy = || -> Result<u64> {
            let stat = fs::read_to_string(format!("/proc/{pid}/stat"))?;
            let fields: Vec<&str> = stat.split_whitespace().collect();
            Ok(fields[13].parse::<u64>()? + fields[14].parse::<u64>()?)
        };
        let (start, ticks) = (std::time::Instant::now(), busy()?);
        std::thread::sleep(Duration::from_secs(3));
        let used = busy()? - ticks;
        let all = start.elapsed().as_millis() / 10;
        ensure!(
            u128::from(used) < all / 2,
            "it spins: {used} of {all} ticks"
        );
        // Nothing can be looked at, so all goes on as it was.
        out.flows(1000)?;
        back.flows(1000)?;
        prlimit(process, Resource::Nofile, before)?;
        drop(held);
        out.lossless()?;
        back.lossless()?;
        serves(site)
    });
}

/// Things that are no request.
fn garbage() -> Vec<(&'static str, Vec<u8>)> {
    let text = |text: &str| text.as_bytes().to_vec();
    let apply =
        |rest: &str| format!("POST /v1/apply HTTP/1.1\r\nhost: nved\r\n{rest}").into_bytes();
    let many: String = (0..10_000).fold(String::new(), |mut all, n| {
        let _ = write!(all, "x-{n}: y\r\n");
        all
    });
    vec![
        ("nothing", Vec::new()),
        ("zeroes", vec![0; 100_000]),
        ("all bytes", (0..=255).cycle().take(100_000).collect()),
        (
            "a TLS hello",
            b"\x16\x03\x01\x02\0\x01\0\x01\xfc\x03\x03".repeat(50),
        ),
        ("half a line", text("GET /v1/sta")),
        ("half a header", text("GET /v1/status HTTP/1.1\r\nhost: nv")),
        (
            "HTTP/2",
            text("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0"),
        ),
        (
            "an unknown version",
            text("GET /v1/status HTTP/7.1\r\n\r\n"),
        ),
        (
            "an unknown method",
            text("BREW /v1/status HTTP/1.1\r\nhost: nved\r\n\r\n"),
        ),
        (
            "a wrong method",
            text("DELETE /v1/status HTTP/1.1\r\nhost: nved\r\n\r\n"),
        ),
        ("CONNECT", text("CONNECT a:1 HTTP/1.1\r\nhost: a\r\n\r\n")),
        (
            "a long line",
            [
                text("GET /"),
                vec![b'a'; 1 << 20],
                text(" HTTP/1.1\r\n\r\n"),
            ]
            .concat(),
        ),
        (
            "a long header",
            [text("GET / HTTP/1.1\r\nx: "), vec![b'a'; 1 << 20]].concat(),
        ),
        (
            "many headers",
            text(&format!("GET / HTTP/1.1\r\n{many}\r\n")),
        ),
        (
            "a bad escape",
            text("GET /v1/objects/Port/%zz%ff HTTP/1.1\r\nhost: nved\r\n\r\n"),
        ),
        (
            "a path upwards",
            text("GET /../../etc/passwd HTTP/1.1\r\nhost: nved\r\n\r\n"),
        ),
        (
            "two lengths",
            apply("content-length: 3\r\ncontent-length: 9\r\n\r\n{}\n"),
        ),
        ("a negative length", apply("content-length: -1\r\n\r\n{}\n")),
        (
            "length and chunks",
            apply("content-length: 3\r\ntransfer-encoding: chunked\r\n\r\nzz\r\n"),
        ),
        (
            "a bad chunk",
            apply("transfer-encoding: chunked\r\n\r\nfffffffffffffffff\r\nx"),
        ),
        (
            "half a body",
            apply("content-length: 100\r\n\r\n{\"apiVersion\":"),
        ),
        ("no JSON", apply("content-length: 5\r\n\r\n\0\x01\n{\n")),
        (
            "deep JSON",
            [apply("content-length: 100000\r\n\r\n"), vec![b'['; 100_000]].concat(),
        ),
    ]
}

#[test]
#[ignore = "needs root: cargo xtask test"]
fn garbage_ends_in_an_error_or_a_close() {
    proof(Site::alone("ctlgarb"), |site| {
        let at = socket(site);
        let before = site.everything(0)?;
        for (what, bytes) in garbage() {
            let came = answer_to(&at, &bytes).context(what)?;
            let came = String::from_utf8_lossy(&came);
            ensure!(
                came.is_empty() || came.starts_with("HTTP/1.1 4"),
                "{what} was answered: {came}"
            );
        }
        // A request with one byte changed, at each place.
        let request = b"DELETE /v1/objects/Port/blue-vm9?vmNetwork=blue HTTP/1.1\r\nhost: nved\r\nx: y\r\n\r\n";
        for place in 0..request.len() {
            let mut bytes = request.to_vec();
            bytes[place] ^= 0x91;
            answer_to(&at, &bytes).with_context(|| format!("byte {place} changed"))?;
        }
        ensure!(site.everything(0)? == before, "something was changed");
        serves(site)
    });
}

/// As NDJSON: so many records of blue at the other host.
fn records(count: usize) -> String {
    let mut lines = String::new();
    for n in 0..count {
        let (high, low) = (n / 250 + 1, n % 250);
        let _ = writeln!(
            lines,
            r#"{{"apiVersion":"nve/v1","kind":"LookupRecord","metadata":{{"vmNetwork":"blue"}},"spec":{{"virtualSubnetId":6001,"customerAddress":"10.9.{high}.{low}","macAddress":"02:00:00:09:{high:02x}:{low:02x}","providerAddress":"192.0.2.2"}}}}"#
        );
    }
    lines
}

/// Asks for a long list and reads its first bytes only.
fn slow_reader(socket: &std::path::Path) -> Result<UnixStream> {
    let mut stream = UnixStream::connect(socket)?;
    stream.write_all(b"GET /v1/objects/LookupRecord HTTP/1.1\r\nhost: nved\r\n\r\n")?;
    stream.set_read_timeout(Some(SOON))?;
    Ok(stream)
}

#[test]
#[ignore = "needs root: cargo xtask test"]
fn slow_readers_and_senders_hold_nobody_up() {
    proof(Site::alone("ctlslow"), |site| {
        let_in(site)?;
        let wide = site
            .demo()
            .replacen("10.0.0.0/24]", "10.0.0.0/24, 10.9.0.0/16]", 1);
        site.apply(0, &wide)?;
        let many = site.file("many.ndjson", records(20_000))?;
        site.nvectl(0, &["apply", "-f", &many.to_string_lossy()])?
            .success()?;
        let at = socket(site);
        let readers = || {
            (0..40)
                .map(|_| slow_reader(&at))
                .collect::<Result<Vec<_>>>()
        };
        let mut slow = as_nobody(readers)?;
        slow.extend(readers()?);
        for stream in slow.iter_mut().skip(40) {
            stream
                .read_exact(&mut [0; 64])
                .context("root's list has no first bytes")?;
        }
        let mut half = crowd(&at, 40)?;
        for stream in &mut half {
            stream.write_all(
                b"POST /v1/apply HTTP/1.1\r\nhost: nved\r\ncontent-length: 9999\r\n\r\n{\"api",
            )?;
        }
        let silent = crowd(&at, 40)?;
        site.nvectl(0, &["status", "--wait=20"])?.success()?;
        site.apply(0, &wide)?;
        // Who says nothing is sent away ...
        until_closed(&silent[0]).context("a silent connection stays")?;
        // ... and nobody keeps nved from stopping.
        let stopped = site.nves[0].terminate(STOP)?;
        ensure!(stopped.code() == 0, "exit code {}", stopped.code());
        ensure!(!at.exists(), "the socket is still there");
        let host = &site.topology.hosts[0].netns;
        site.nves[0].resume(host)?;
        drop((slow, half));
        site.ready()
    });
}

#[test]
#[ignore = "needs root: cargo xtask test"]
fn the_socket_has_one_owner_and_its_mode() {
    proof(Site::alone("ctlown"), |site| {
        let at = socket(site);
        let meta = fs::metadata(&at)?;
        ensure!(meta.mode() & 0o777 == 0o660, "mode {:o}", meta.mode());
        // A live one is not taken.
        let dir = site.nves[0].spec().dir.clone();
        let mut second = site
            .host(0)
            .command(&bin_dir()?.join("nved").to_string_lossy());
        second.args(["--host", "host-a", "--uplink", "eth0", "--store"]);
        second.arg(format!("redb://{}/other.redb", dir.display()));
        second
            .arg("--pin")
            .arg(format!("{BPFFS}/{}", unique("ctlown")));
        let said = output(second.arg("--socket").arg(&at), PATIENCE)?;
        refused(&said, 1, &["socket", "in use by another process"])?;
        ensure!(fs::metadata(&at)?.ino() == meta.ino(), "it was replaced");
        site.ready()?;
        // A dead one is.
        site.nves[0].kill()?;
        ensure!(
            fs::metadata(&at)?.file_type().is_socket(),
            "no socket is left"
        );
        site.resume(0)?;
        site.ready()?;
        // What is no socket is not touched.
        site.nves[0].stop();
        fs::write(&at, "precious")?;
        let said = site.resume(0).expect_err("nved took a file for its socket");
        ensure!(format!("{said:#}").contains("is no socket"), "{said:#}");
        ensure!(fs::read_to_string(&at)? == "precious", "it was changed");
        fs::remove_file(&at)?;
        site.resume(0)?;
        serves(site)
    });
}
