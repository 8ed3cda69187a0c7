//! Maps an event to a file, or to what the owner asks or changes, and the outcome to a response.

mod change;
mod problems;
mod questions;
mod routes;

pub(crate) use routes::ROUTES;

use http::StatusCode;
use lambda_runtime::Error;
use routes::Action;
use serde::{Deserialize, Serialize};
use visits_core::http::{Event, Owner, Problem, Reply, Request, Response, Target};
use visits_core::statistics::Figures;

pub(crate) struct Handler {
    figures: Figures,
    owner: Owner,
}

/// The body of `POST /session`.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Login {
    token: String,
}

/// The body of a 200 to `GET /session`.
#[derive(Serialize)]
struct WhoAmI {
    signed_in: bool,
    token_configured: bool,
    /// Most days that may be asked for.
    history_days: u32,
}

/// The body that `POST /session` accepts.
const LOGIN: &str = r#"{"token":"…"} is accepted, with the owner's token"#;

impl Handler {
    pub(crate) fn new(figures: Figures, owner: Owner) -> Self {
        Self { figures, owner }
    }

    /// Answers any event. An error goes to the caller of a direct invocation; a client gets a problem.
    pub(crate) async fn handle(&self, event: Event) -> Result<Reply, Error> {
        match event {
            Event::Http(request) => {
                let (Ok(response) | Err(response)) = self.answer(&request).await;
                Ok(Reply::to(&request, response))
            }
            Event::Direct(_) => Err(NOT_FOR_THIS_FUNCTION.into()),
        }
    }

    async fn answer(&self, request: &Request) -> Result<Response, Response> {
        // No script of another origin has business here.
        let (action, target) = ROUTES.find(request, None)?;
        match action {
            Action::File(file) if file.is_local_only() && !request.is_local => Err(problems::demo_is_local().into()),
            Action::File(file) => Ok(file.answer(request)),
            Action::ToPage => Ok(to_page(&request.path)),
            Action::WhoAmI => Ok(self.who_am_i(request).await?),
            Action::Login => Ok(self.login(request).await?),
            Action::Logout => Ok(Response::no_content().with("set-cookie", Owner::closed_session())),
            Action::History | Action::Top | Action::Summary => {
                self.owner.authorize(request).await?;
                Ok(self.tell(action, &target, request).await?)
            }
            Action::Set | Action::Delete => {
                self.owner.authorize_change(request).await?;
                Ok(self.change(action, &target, request).await?)
            }
        }
    }

    /// Whether the caller is the owner, which is no mistake if not: the page asks for it before it asks for figures.
    async fn who_am_i(&self, request: &Request) -> Result<Response, Problem> {
        let (signed_in, token_configured) = match self.owner.authorize(request).await {
            Ok(_) => (true, true),
            Err(problem) if problem.status() == StatusCode::UNAUTHORIZED => (false, true),
            Err(problem) if problem.status() == StatusCode::FORBIDDEN => (false, false),
            Err(problem) => return Err(problem),
        };
        let history_days = self.figures.most_days();
        Ok(Response::json(&WhoAmI { signed_in, token_configured, history_days }, "no-store"))
    }

    async fn login(&self, request: &Request) -> Result<Response, Problem> {
        let Login { token } = request.body.json(LOGIN)?;
        let cookie = self.owner.open_session(&token).await?;
        Ok(Response::no_content().with("set-cookie", cookie))
    }

    async fn tell(&self, action: Action, target: &Target<'_>, request: &Request) -> Result<Response, Problem> {
        let most_days = u64::from(self.figures.most_days());
        if most_days == 0 {
            return Err(problems::history_off());
        }
        match action {
            Action::Top => {
                let query = questions::top(&request.query, most_days)?;
                let top = self.figures.top(&query).await.map_err(problems::unavailable)?;
                Ok(Response::json(&*top, "no-store"))
            }
            Action::Summary => {
                let days = questions::days(&request.query, 30, most_days)?;
                Ok(Response::json(&*self.figures.summary(days).await, "no-store"))
            }
            _ => {
                let (page, days) = (target.page()?, questions::days(&request.query, 30, most_days)?);
                let history = self.figures.history(&page, days).await.map_err(problems::unavailable)?;
                Ok(Response::json(&history, "no-store"))
            }
        }
    }

    async fn change(&self, action: Action, target: &Target<'_>, request: &Request) -> Result<Response, Problem> {
        let page = target.page()?;
        let key = change::key(request.header("idempotency-key"))?;
        let wanted = if matches!(action, Action::Delete) { change::DELETE } else { change::wanted(&request.body)? };
        let changed = self.figures.set(&page, wanted, &key).await.map_err(problems::not_changed)?;
        Ok(Response::json(&change::Answer::new(&page, wanted, changed), "no-store"))
    }
}

/// Leads from `/` or from `/dashboard/` to the page. Relative, so that it is right behind a stage, too.
fn to_page(path: &str) -> Response {
    let page = if path.ends_with("/dashboard/") { "../dashboard" } else { "dashboard" };
    Response::new(StatusCode::PERMANENT_REDIRECT, "text/plain", "max-age=300", format!("the page is at {page}"))
        .with("location", page)
}

/// The error for an event that is no request.
const NOT_FOR_THIS_FUNCTION: &str =
    "dashboard answers HTTP requests only: of API Gateway, a function URL or a load balancer";

#[cfg(test)]
mod tests;
