//! How much memory a command may use when it is told nothing.

use std::fs;

/// Where the machine does not say what it has.
const FALLBACK_BYTES: u64 = 2 << 30;

/// Less than this is not asked for, however small the machine.
const LEAST_BYTES: u64 = 256 << 20;

/// A quarter of the machine, or of the container that this process runs in.
pub fn default_budget_bytes() -> u64 {
    let limits = ["/sys/fs/cgroup/memory.max", "/sys/fs/cgroup/memory/memory.limit_in_bytes"];
    let limits = limits.iter().filter_map(|path| fs::read_to_string(path).ok()?.trim().parse::<u64>().ok());
    let machine = fs::read_to_string("/proc/meminfo").ok().and_then(|text| total_bytes(&text));
    let total = limits.chain(machine).min().unwrap_or(4 * FALLBACK_BYTES);
    (total / 4).max(LEAST_BYTES)
}

fn total_bytes(meminfo: &str) -> Option<u64> {
    let line = meminfo.lines().find_map(|line| line.strip_prefix("MemTotal:"))?;
    line.trim().strip_suffix("kB")?.trim().parse::<u64>().ok()?.checked_mul(1024)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_machine_is_read() {
        assert_eq!(total_bytes("MemFree: 1 kB\nMemTotal:   8000 kB\n"), Some(8_192_000));
        assert_eq!(total_bytes("MemTotal: lots\n"), None);
        assert!(default_budget_bytes() >= LEAST_BYTES);
    }
}
