//! Starting the process of an environment, with the surroundings that Lambda gives it.

use crate::function::Function;
use crate::sync::{OwnedTask, lock};
use crate::{EnvironmentId, FunctionConfig, Mode, http, runtime_api};
use std::fs::File;
use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::process::{ExitStatus, Stdio};
use std::sync::Arc;
use tokio::net::TcpListener;
use tokio::process::Command;

/// The region that functions believe to be in.
pub(crate) const REGION: &str = "eu-central-1";

/// The account that functions believe to belong to.
pub(crate) const ACCOUNT: &str = "123456789012";

impl Function {
    /// Runs an environment that has been added to the fleet, until its process has ended.
    pub(crate) async fn run_environment(self: Arc<Self>, id: EnvironmentId) {
        if !self.config.cold_start_delay.is_zero() {
            tokio::time::sleep(self.config.cold_start_delay).await;
        }
        let status = self.run_process(id).await.map_err(|error| error.to_string());
        self.ended(id, &status);
    }

    async fn run_process(self: &Arc<Self>, id: EnvironmentId) -> io::Result<ExitStatus> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
        let (process, mut command) = {
            let fleet = lock(&self.fleet);
            let environment = fleet.live.get(&id).ok_or_else(|| io::Error::other("the environment has gone"))?;
            let command = Launch {
                config: &self.config,
                id,
                api: listener.local_addr()?,
                folder: environment.folder(),
                log: environment.log(),
                frozen_clock: environment.frozen_clock(),
            };
            (Arc::clone(&environment.process), command.command()?)
        };
        process.start(&mut command)?;
        let function = Arc::clone(self);
        let api = http::serve(listener, move |request| runtime_api::handle(Arc::clone(&function), id, request));
        let _api = OwnedTask(tokio::spawn(api).abort_handle());
        let (function, limit) = (Arc::clone(self), self.config.init_limit);
        let limit = tokio::spawn(async move {
            tokio::time::sleep(limit).await;
            function.time_out_start(id);
        });
        let _limit = OwnedTask(limit.abort_handle());
        process.wait().await
    }
}

/// What a process is started with.
struct Launch<'a> {
    config: &'a FunctionConfig,
    id: EnvironmentId,
    api: SocketAddr,
    folder: &'a Path,
    log: PathBuf,
    frozen_clock: PathBuf,
}

impl Launch<'_> {
    fn command(&self) -> io::Result<Command> {
        let output = File::create(&self.log)?;
        let mut command = Command::new(&self.config.program);
        // Nothing of the developer's own settings: a deployed function does not see them either.
        command.env_clear();
        for inherited in ["PATH", "HOME"] {
            if let Some(value) = std::env::var_os(inherited) {
                command.env(inherited, value);
            }
        }
        command.envs(self.variables());
        command.envs(self.config.env.iter().map(|(name, value)| (name, value)));
        command.current_dir(self.folder).stdin(Stdio::null()).stdout(output.try_clone()?).stderr(output);
        command.kill_on_drop(true);
        Ok(command)
    }

    /// What Lambda sets, as far as it makes sense here. The credentials are of no use anywhere.
    fn variables(&self) -> Vec<(String, String)> {
        let name = &self.config.name;
        let mut variables = vec![
            ("AWS_LAMBDA_RUNTIME_API", self.api.to_string()),
            ("AWS_LAMBDA_FUNCTION_NAME", name.clone()),
            ("AWS_LAMBDA_FUNCTION_VERSION", "$LATEST".into()),
            ("AWS_LAMBDA_FUNCTION_MEMORY_SIZE", "128".into()),
            ("AWS_LAMBDA_LOG_GROUP_NAME", format!("/aws/lambda/{name}")),
            ("AWS_LAMBDA_LOG_STREAM_NAME", format!("[$LATEST]{}", self.id)),
            ("AWS_REGION", REGION.into()),
            ("AWS_DEFAULT_REGION", REGION.into()),
            ("AWS_ACCESS_KEY_ID", "simulated".into()),
            ("AWS_SECRET_ACCESS_KEY", "simulated".into()),
            ("AWS_SESSION_TOKEN", "simulated".into()),
            ("_HANDLER", "bootstrap".into()),
            ("LANG", "en_US.UTF-8".into()),
            ("TZ", ":UTC".into()),
        ];
        variables.extend(match self.config.mode {
            Mode::OnDemand => vec![("AWS_LAMBDA_INITIALIZATION_TYPE", "on-demand".to_owned())],
            Mode::ManagedInstances { .. } => vec![
                ("AWS_LAMBDA_INITIALIZATION_TYPE", "lambda-managed-instances".into()),
                ("AWS_LAMBDA_MAX_CONCURRENCY", self.config.mode.slots().to_string()),
            ],
        });
        let frozen_clock = self.config.frozen_clock.iter().map(|variable| {
            let path = self.frozen_clock.to_string_lossy();
            (variable.name.clone(), variable.value.replace("{path}", &path))
        });
        let fixed = variables.into_iter().map(|(name, value)| (name.to_owned(), value));
        fixed.chain(frozen_clock).collect()
    }
}
