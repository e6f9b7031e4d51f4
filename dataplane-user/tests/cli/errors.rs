//! What can go wrong on the way, and slips of the user.

use crate::fake::{FakeAgent, nvectl, nvectl_at};

#[test]
fn without_an_agent_the_socket_is_named() {
    let directory = tempfile::tempdir().expect("temporary directory");
    let socket = directory.path().join("nved.sock");
    let name = socket.display().to_string();
    for arguments in [&["version"][..], &["get", "hosts"], &["status"]] {
        let run = nvectl_at(&socket, arguments, "");
        assert_eq!(run.code, 3, "{arguments:?}");
        assert!(run.stderr.contains(&name), "{}", run.stderr);
        assert!(run.stderr.contains("--socket PATH"), "{}", run.stderr);
        assert_eq!(run.stdout.starts_with("nvectl "), arguments == ["version"]);
    }
}

#[test]
fn wire_errors_have_their_statuses() {
    let forbidden = r#"{"problems":[{"message":"only uid 0 may write","hint":"run it as root"}]}"#;
    let agent = FakeAgent::start(&[
        ("POST /v1/unload", 403, forbidden),
        ("GET /v1/status", 200, "not JSON"),
        ("GET /v1/drops", 500, "on fire"),
    ]);
    let run = nvectl(&agent, &["unload"]);
    assert_eq!(run.code, 7);
    assert_eq!(
        run.stderr,
        "error: only uid 0 may write\n  hint: run it as root\n"
    );
    let run = nvectl(&agent, &["status"]);
    assert_eq!(run.code, 3);
    assert!(run.stderr.contains("nvectl version"), "{}", run.stderr);
    let run = nvectl(&agent, &["get", "drops"]);
    assert_eq!(run.code, 3);
    let told = "500 Internal Server Error: on fire";
    assert!(run.stderr.contains(told), "{}", run.stderr);
}

#[test]
fn usage_errors_guess_and_say_how() {
    let agent = FakeAgent::start(&[]);
    let run = nvectl(&agent, &["get", "vmnetwrks"]);
    assert_eq!(run.code, 2);
    let guess = "did you mean `vmnetwork`?";
    assert!(run.stderr.contains(guess), "{}", run.stderr);
    assert!(run.stderr.contains("lookuprecord|lr"), "{}", run.stderr);
    assert_eq!(nvectl(&agent, &["delete"]).code, 2);
    let run = nvectl(&agent, &["apply", "-f", "/nonexistent/x.yaml"]);
    assert_eq!(run.code, 2);
    assert!(run.stderr.contains("/nonexistent/x.yaml"), "{}", run.stderr);
    let run = nvectl(&agent, &["get", "lr", "10.0.0.9"]);
    assert_eq!(run.code, 2);
    assert!(run.stderr.contains("6001/10.0.0.9"), "{}", run.stderr);
}

#[test]
fn an_empty_file_is_no_policy() {
    let agent = FakeAgent::start(&[]);
    let run = nvectl_at(agent.socket(), &["apply", "-f", "-"], "# nothing\n");
    assert_eq!((run.code, run.stdout.as_str()), (6, ""));
    assert!(run.stderr.contains("no documents"), "{}", run.stderr);
}
