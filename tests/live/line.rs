//! The first line that a program says: where it listens, as JSON.

use std::io::{BufRead, BufReader};
use std::process::ChildStdout;
use std::sync::mpsc;

use crate::until::WAIT_MAX;

/// Read on a thread of its own, so that a process that says nothing does not hold the test for ever.
pub(crate) fn first_line(out: ChildStdout) -> String {
    let (tell, told) = mpsc::channel();
    std::thread::spawn(move || {
        let mut line = String::new();
        let read = BufReader::new(out).read_line(&mut line);
        drop(tell.send(read.map(|_| line)));
    });
    let read = told.recv_timeout(WAIT_MAX).expect("the process says something, or ends");
    read.expect("the first line is text")
}
