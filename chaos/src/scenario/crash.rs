//! Redis is killed with SIGKILL under load. What it lost of what it had acknowledged, the writers that live
//! send again; with healing switched off it is lost, and counted as lost.

use crate::client::keep_visiting;
use crate::ledger::Verdict;
use crate::report::Row;
use crate::world::{RECORD, SCHEDULE, Setup, World};
use serde_json::Value;
use std::sync::Arc;
use std::time::Duration;
use tokio::task::JoinHandle;

/// Extent of the scenario.
#[derive(Clone, Copy, Debug)]
pub struct Size {
    /// Clients at a time.
    pub clients: usize,
    /// Crashes, of one shard and the other by turns.
    pub crashes: u32,
}

/// Time that a crash takes from the end of the append-only file: 25 s of production's time, where `everysec` loses up
/// to 2. It is below the 60 s for which writers remember.
const TAIL: Duration = Duration::from_millis(250);

/// Runs it with the process killed, and with the machine's power gone too; with and without healing.
pub async fn run(size: Size) -> Vec<Row> {
    let mut rows = Vec::new();
    for power_cut in [false, true] {
        for healing in [true, false] {
            rows.extend(run_once(size, power_cut, healing).await);
        }
    }
    rows
}

async fn run_once(size: Size, power_cut: bool, healing: bool) -> Vec<Row> {
    let world = Arc::new(World::start(&Setup { healing, ..Setup::default() }));
    let clients = keep_visiting(&world, size.clients, 1);
    // Without healing a swept writer has nothing to confirm: it would leave, and not find out what is lost.
    let schedule = healing.then(|| world.spawn_schedule());
    let mut cut = 0;
    for crash in 0..size.crashes {
        let shard = (crash % 2) as usize;
        tokio::time::sleep(SCHEDULE).await;
        let written = world.servers.logged(shard);
        tokio::time::sleep(TAIL).await;
        cut += world.servers.crash(shard, power_cut.then_some(written));
    }
    tokio::time::sleep(SCHEDULE).await;
    schedule.inspect(JoinHandle::abort);
    clients.stop().await;
    world.come_to_rest().await;

    let verdict = world.verdict();
    let what = if power_cut { ", its last 25 s of writes gone" } else { "" };
    let how = if healing { "" } else { ", healing off" };
    let name = format!("kill -9 of Redis under load, {} times{what}{how}", size.crashes);
    rows(&name, &world, verdict, cut, healing)
}

fn rows(name: &str, world: &World, verdict: Verdict, cut: u64, healing: bool) -> Vec<Row> {
    let Verdict { acknowledged, counted, lost, doubled, undated } = verdict;
    let reported = reported_lost(world);
    let mut rows = vec![
        Row::told(name, "acknowledged / counted", format!("{acknowledged} / {counted}")),
        Row::claimed(name, "counted twice", doubled, doubled == 0),
        Row::claimed(name, "not on their day, or skipped", undated, undated == 0),
        Row::told(name, "bytes of the append-only files cut", cut),
    ];
    if healing {
        rows.push(Row::claimed(name, "lost", lost, lost == 0));
    } else {
        rows.push(Row::told(name, "lost", lost));
        rows.push(Row::claimed(name, "of these logged as `visits_lost`", reported, reported == lost));
    }
    rows
}

/// Returns the visits that the environments logged as lost.
fn reported_lost(world: &World) -> u64 {
    let environments = world.lambda.environments().into_iter().filter(|environment| environment.function == RECORD);
    let logs = environments.map(|environment| world.lambda.output(environment.id));
    let line = |line: &str| serde_json::from_str::<Value>(line).ok()?["visits_lost"].as_u64();
    logs.map(|log| log.lines().filter_map(line).sum::<u64>()).sum()
}
