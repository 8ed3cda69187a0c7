"""The local run: two Redis servers, the four functions under `cargo lambda watch`, and the schedule."""
