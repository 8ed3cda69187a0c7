//! The routes of this function.

use crate::assets::File;
use visits_core::http::{Route, Routes};

/// An action of a route.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Action {
    /// A file.
    File(File),
    /// The page, for who has opened the bare address, or written a slash behind the page's path.
    ToPage,
    /// Whether the caller is the owner.
    WhoAmI,
    /// A session for who knows the token.
    Login,
    /// An end of the session.
    Logout,
    /// A page's days.
    History,
    /// The pages with the most visits.
    Top,
    /// The site's days, and how the shards are.
    Summary,
    /// A page's count set.
    Set,
    /// A page forgotten.
    Delete,
}

/// All of them.
pub(crate) const ROUTES: Routes<Action> = Routes {
    routes: &[
        Route::new("GET", "/dashboard", Action::File(File::Page)),
        Route::new("GET", "/dashboard/", Action::ToPage),
        Route::new("GET", "/", Action::ToPage),
        Route::new("GET", "/dashboard/app.js", Action::File(File::Program)),
        Route::new("GET", "/dashboard/app.css", Action::File(File::Style)),
        Route::new("GET", "/dashboard/demo", Action::File(File::Demo)),
        Route::new("GET", "/dashboard/demo.js", Action::File(File::DemoProgram)),
        Route::new("GET", "/counter.js", Action::File(File::Counter)),
        Route::new("GET", "/openapi.json", Action::File(File::OpenApi)),
        Route::new("GET", "/session", Action::WhoAmI),
        Route::new("POST", "/session", Action::Login),
        Route::new("DELETE", "/session", Action::Logout),
        Route::new("GET", "/history/{page_id}", Action::History),
        Route::new("GET", "/top", Action::Top),
        Route::new("GET", "/summary", Action::Summary),
        Route::new("PUT", "/visits/{page_id}", Action::Set),
        Route::new("DELETE", "/visits/{page_id}", Action::Delete),
    ],
};
