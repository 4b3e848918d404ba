//! What another process used: processor time and resident memory, as Linux counts them.
//!
//! Time per message comes from the server's own processor time, not from the wall clock: it is the
//! same whether or not the machine was busy with something else, and a server that waits looks as
//! cheap as it is.

use std::{
    ffi::{OsStr, OsString},
    fs, io,
    ops::{Add, Sub},
    path::PathBuf,
    thread,
    time::{Duration, Instant},
};

/// A running process, or some of its threads, observed through `/proc`.
#[derive(Clone, Debug)]
pub struct Process {
    id: u32,
    directory: PathBuf,
    threads: Threads,
}

/// Whose processor time counts.
#[derive(Clone, Debug)]
enum Threads {
    All,
    /// The one with this name in `/proc/PID/task`.
    Only(OsString),
    AllBut(OsString),
}

/// Processor time, in the program itself and in the kernel on its behalf.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct CpuTime {
    /// Time in the program's own code.
    pub user: Duration,
    /// Time in system calls; on loopback that includes delivering the bytes to the peer's socket.
    pub kernel: Duration,
}

impl Process {
    /// The process with this id.
    ///
    /// # Errors
    ///
    /// [`io::ErrorKind::NotFound`] when there is none.
    pub fn new(id: u32) -> io::Result<Self> {
        let directory = PathBuf::from(format!("/proc/{id}"));
        if !directory.is_dir() {
            let text = format!("there is no process {id}");
            return Err(io::Error::new(io::ErrorKind::NotFound, text));
        }
        let threads = Threads::All;
        Ok(Self {
            id,
            directory,
            threads,
        })
    }

    /// The process that calls this.
    ///
    /// # Errors
    ///
    /// When `/proc` is not mounted.
    pub fn current() -> io::Result<Self> {
        Self::new(std::process::id())
    }

    /// The same process, with the processor time of the thread that calls this alone.
    ///
    /// # Errors
    ///
    /// When the system does not tell which thread that is.
    pub fn this_thread(self) -> io::Result<Self> {
        let threads = Threads::Only(this_thread()?);
        Ok(Self { threads, ..self })
    }

    /// The same process, with the processor time of all threads but the one that calls this.
    ///
    /// # Errors
    ///
    /// As [`this_thread`](Self::this_thread).
    pub fn other_threads(self) -> io::Result<Self> {
        let threads = Threads::AllBut(this_thread()?);
        Ok(Self { threads, ..self })
    }

    /// Its process id.
    pub fn id(&self) -> u32 {
        self.id
    }

    /// Processor time since it started, of the threads that are still alive.
    ///
    /// The sum has nanoseconds (`schedstat`); the split has the resolution of the scheduler's tick,
    /// because user and system time are only counted in ticks (`stat`).
    ///
    /// # Errors
    ///
    /// When the process has ended.
    pub fn cpu_time(&self) -> io::Result<CpuTime> {
        let total = self.run_time()?;
        let (user, kernel) = self.ticks()?;
        let share = match user + kernel {
            0 => 0.0,
            ticks => user as f64 / ticks as f64,
        };
        let user = total.mul_f64(share);
        Ok(CpuTime {
            user,
            kernel: total.saturating_sub(user),
        })
    }

    /// Bytes of memory that are resident, or were until they were swapped out.
    ///
    /// # Errors
    ///
    /// When the process has ended, or belongs to somebody else.
    pub fn resident_bytes(&self) -> io::Result<u64> {
        // `status` has VmRSS too, but from counters that each thread updates late.
        let rollup = self.read("smaps_rollup")?;
        let kilobytes = rollup.lines().filter_map(|line| {
            let size = line
                .strip_prefix("Rss:")
                .or_else(|| line.strip_prefix("Swap:"))?;
            size.trim().strip_suffix("kB")?.trim().parse::<u64>().ok()
        });
        Ok(kilobytes.sum::<u64>() * 1024)
    }

    /// How many sockets it has open.
    ///
    /// # Errors
    ///
    /// When the process has ended, or belongs to somebody else.
    pub fn sockets(&self) -> io::Result<usize> {
        let files = fs::read_dir(self.directory.join("fd"))?;
        let is_socket = |file: &fs::DirEntry| {
            fs::read_link(file.path()).is_ok_and(|to| to.to_string_lossy().starts_with("socket:"))
        };
        Ok(files.flatten().filter(is_socket).count())
    }

    /// Calls `meanwhile` until the process has used next to no processor time for a second, or
    /// until `limit` has passed. Returns whether it became quiet.
    ///
    /// `meanwhile` is given how long it may take. An idle server still has timers, so quiet means
    /// less than 2 % of one core.
    ///
    /// # Errors
    ///
    /// When the process has ended, or `meanwhile` failed.
    pub fn wait_until_quiet(
        &self,
        limit: Duration,
        mut meanwhile: impl FnMut(Duration) -> io::Result<()>,
    ) -> io::Result<bool> {
        // Long enough that a timer which runs every second does not look like work.
        let step = Duration::from_millis(500);
        let end = Instant::now() + limit;
        let mut quiet_steps = 0;
        let mut before = self.run_time()?;
        while quiet_steps < 2 {
            if Instant::now() >= end {
                return Ok(false);
            }
            let began = Instant::now();
            meanwhile(step)?;
            thread::sleep(step.saturating_sub(began.elapsed()));
            let after = self.run_time()?;
            let is_quiet = after.saturating_sub(before) * 50 < began.elapsed();
            quiet_steps = if is_quiet { quiet_steps + 1 } else { 0 };
            before = after;
        }
        Ok(true)
    }

    fn run_time(&self) -> io::Result<Duration> {
        let mut nanoseconds = 0;
        for task in self.tasks()? {
            // A thread may end between the listing and the reading.
            let Ok(schedstat) = fs::read_to_string(task.join("schedstat")) else {
                continue;
            };
            let first = schedstat.split_whitespace().next();
            nanoseconds += first
                .and_then(|field| field.parse::<u64>().ok())
                .unwrap_or_default();
        }
        Ok(Duration::from_nanos(nanoseconds))
    }

    fn ticks(&self) -> io::Result<(u64, u64)> {
        let (mut user, mut kernel) = (0, 0);
        for task in self.tasks()? {
            let Ok(stat) = fs::read_to_string(task.join("stat")) else {
                continue;
            };
            // The second field is the program's name in parentheses and may hold spaces: count from
            // its end, where field 3 follows. User and system time are fields 14 and 15.
            let after_name = stat.rsplit_once(')').map_or("", |(_, rest)| rest);
            let mut fields = after_name.split_whitespace().skip(14 - 3);
            let mut next = || fields.next().and_then(|field| field.parse::<u64>().ok());
            let (Some(in_user), Some(in_kernel)) = (next(), next()) else {
                return Err(io::Error::new(
                    io::ErrorKind::InvalidData,
                    "unexpected form of /proc/PID/task/TID/stat",
                ));
            };
            user += in_user;
            kernel += in_kernel;
        }
        Ok((user, kernel))
    }

    /// The directories of the threads that count.
    fn tasks(&self) -> io::Result<Vec<PathBuf>> {
        let mut tasks = Vec::new();
        for task in fs::read_dir(self.directory.join("task"))? {
            let task = task?;
            let counts = match &self.threads {
                Threads::All => true,
                Threads::Only(thread) => task.file_name() == *thread,
                Threads::AllBut(thread) => task.file_name() != *thread,
            };
            if counts {
                tasks.push(task.path());
            }
        }
        Ok(tasks)
    }

    fn read(&self, file: &str) -> io::Result<String> {
        fs::read_to_string(self.directory.join(file))
            .map_err(|e| io::Error::new(e.kind(), format!("process {}: {file}: {e}", self.id)))
    }
}

/// The name of the calling thread in `/proc/PID/task`.
fn this_thread() -> io::Result<OsString> {
    let link = fs::read_link("/proc/thread-self")?;
    let name = link.file_name().map(OsStr::to_owned);
    name.ok_or_else(|| io::Error::other("/proc/thread-self names no thread"))
}

impl CpuTime {
    /// User and kernel time together.
    pub fn total(self) -> Duration {
        self.user + self.kernel
    }
}

impl Add for CpuTime {
    type Output = Self;

    fn add(self, other: Self) -> Self {
        Self {
            user: self.user + other.user,
            kernel: self.kernel + other.kernel,
        }
    }
}

impl Sub for CpuTime {
    type Output = Self;

    /// What was used between two readings. A part that seems to have shrunk, because the split is
    /// an estimate or a thread ended, is zero.
    fn sub(self, earlier: Self) -> Self {
        Self {
            user: self.user.saturating_sub(earlier.user),
            kernel: self.kernel.saturating_sub(earlier.kernel),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Uses so much time of a processor at least, however little of one there is for this thread.
    const WORK: Duration = Duration::from_millis(5);

    fn work() {
        let mut number = 1_u64;
        for factor in 0..20_000_000 {
            number = std::hint::black_box(number.wrapping_mul(factor | 1));
        }
    }

    /// Works until it shows: threads of other tests end meanwhile, and take their time with them.
    fn work_until(shows: impl Fn() -> bool) {
        for _ in 0..100 {
            work();
            if shows() {
                return;
            }
        }
        panic!("work does not show up");
    }

    #[test]
    fn work_shows_up_as_processor_time() {
        let this = Process::current().unwrap();
        let before = this.cpu_time().unwrap();
        work_until(|| (this.cpu_time().unwrap() - before).total() > WORK);
    }

    #[test]
    fn a_thread_is_told_from_the_others() {
        let process = Process::current().unwrap();
        let this = process.clone().this_thread().unwrap();
        let others = process.other_threads().unwrap();
        let used = |of: &Process| of.cpu_time().unwrap().total();
        let (before, others_before) = (used(&this), used(&others));
        work();
        let here = used(&this) - before;
        assert!(here > WORK, "{here:?}");
        // Somebody else's work shows up there, whatever else runs.
        thread::spawn(move || {
            work_until(|| used(&others).saturating_sub(others_before) > WORK);
            assert!(used(&this) - before < here + WORK);
        })
        .join()
        .unwrap();
    }

    #[test]
    fn touched_memory_shows_up_as_resident() {
        let this = Process::current().unwrap();
        let before = this.resident_bytes().unwrap();
        let block = std::hint::black_box(vec![1_u8; 32 << 20]);
        let grown = this.resident_bytes().unwrap().saturating_sub(before);
        assert!(grown > 24 << 20, "{grown} for a block of {}", block.len());
    }

    #[test]
    fn a_process_that_does_not_exist_is_named_in_the_error() {
        let error = Process::new(u32::MAX).unwrap_err();
        assert_eq!(
            error.to_string(),
            format!("there is no process {}", u32::MAX)
        );
    }
}
