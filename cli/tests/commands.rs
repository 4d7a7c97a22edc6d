//! Checks the output and exit status of the commands that do not require a kernel. After changing
//! any output, run `TRYCMD=overwrite cargo test -p ksyscall-cli --test commands` and review the
//! diff.

#[test]
fn commands() {
    trycmd::TestCases::new().case("tests/cmd/*.trycmd");
}

/// What a shell prints when it runs a script in which `$ksyscall` is the command.
fn shell(script: &str) -> String {
    let mut shell = std::process::Command::new("sh");
    let shell = shell.args(["-c", script]).env("ksyscall", env!("CARGO_BIN_EXE_ksyscall"));
    String::from_utf8(shell.output().unwrap().stdout).unwrap()
}

#[test]
fn run_fails_with_its_own_status_even_if_it_cannot_say_why() {
    assert_eq!(shell("$ksyscall run /nowhere/tool 2>/dev/full; echo $?"), "127\n");
    assert_eq!(shell("$ksyscall run --library /none.so sh 2>/dev/full; echo $?"), "125\n");
    // A script for `sh` may or may not use libbpf.
    let tool = "$ksyscall run --library $ksyscall sh -c 'echo ran' 2>/dev/full";
    assert_eq!(shell(tool), "ran\n");
}

#[test]
fn a_tool_ignores_the_signals_that_were_ignored_before() {
    let look = "grep SigIgn /proc/self/status";
    let tool = format!("$ksyscall run --force --library $ksyscall {look} 2>/dev/null");
    assert_eq!(
        shell(&format!("trap '' PIPE HUP; {tool}")),
        shell(&format!("trap '' PIPE HUP; {look}"))
    );
}

#[test]
fn a_full_disk_is_an_error() {
    for command in ["--help", "--version", "count --help", "completion bash", "list --arch x86_64"]
    {
        let script = format!("$ksyscall {command} 2>&1 >/dev/full; echo $?");
        let full =
            "ksyscall: writing to standard output: No space left on device (os error 28)\n1\n";
        assert_eq!(shell(&script), full, "{command}");
    }
}
