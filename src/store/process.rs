//! What tells a process from every other that has had, or has, its id: on this machine, in this container, since this
//! start of the system.
//!
//! # Does not
//! Say whether it lives: its lock does ([`super::claim`]).

/// None where the system does not tell, or there is no such process.
#[cfg(target_os = "linux")]
pub(super) fn identity(pid: u32) -> Option<String> {
    let boot = std::fs::read_to_string("/proc/sys/kernel/random/boot_id").ok()?;
    let space = std::fs::read_link("/proc/self/ns/pid").ok()?;
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    // proc(5): the name stands in brackets and may hold anything; field 3 follows it, and field 22 is the start.
    let started = stat.rsplit_once(')')?.1.split_whitespace().nth(19)?;
    Some(format!("{} {} {started}", boot.trim(), space.display()))
}

#[cfg(not(target_os = "linux"))]
pub(super) fn identity(_pid: u32) -> Option<String> {
    None
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use super::*;

    #[test]
    fn a_process_is_itself_and_no_other() {
        let us = identity(std::process::id());
        assert!(us.is_some());
        assert_eq!(us, identity(std::process::id()));
        let mut other = std::process::Command::new("sleep").arg("60").spawn().unwrap();
        let of_other = identity(other.id());
        assert!(of_other.is_some() && of_other != us);
        other.kill().unwrap();
        other.wait().unwrap();
        assert_eq!(identity(other.id()), None);
    }
}
