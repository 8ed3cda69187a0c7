"""The local run: two Redis servers, the three functions under `cargo lambda watch`, and the schedule."""
