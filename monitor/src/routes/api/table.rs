//! The table of the API. A line of it makes a route *and* its place in the OpenAPI document, both
//! from the types of the handler: what it takes from the path, the query and the body, and what it
//! answers. So nothing can be served that is not documented, nor the other way round.

use std::collections::BTreeMap;
use std::future::Future;

use axum::Router;
use axum::body::to_bytes;
use axum::extract::{FromRequestParts, RawPathParams, Request, State};
use axum::http::request::Parts;
use axum::http::{HeaderMap, Method};
use axum::response::IntoResponse;
use axum::routing::{MethodFilter, MethodRouter, on};
use celeriac_broker_schema::{JobId, QueueName, ScheduleName, TaskId};
use schemars::generate::{Contract, SchemaSettings};
use schemars::{JsonSchema, Schema, SchemaGenerator};
use serde_json::Value;

use super::guard;
use super::openapi;
use super::query::{self, Query};
use super::refusal::Refusal;
use super::reply::Reply;
use crate::auth::Viewer;
use crate::state::Monitor;

/// A request as handlers get it.
pub(super) struct Call<P = (), Q = (), B = ()> {
    pub(super) monitor: Monitor,
    pub(super) headers: HeaderMap,
    pub(super) path: P,
    pub(super) query: Q,
    pub(super) body: B,
    /// Who asks.
    pub(super) viewer: Viewer,
}

/// The one parameter of a path, if it has one.
pub(super) trait Path: Sized + Send + 'static {
    /// # Errors
    /// It is none.
    fn read(text: &str) -> Result<Self, Refusal>;
    /// Its schema, and what it is.
    fn describe(schemas: &mut SchemaGenerator) -> Option<(Schema, &'static str)>;
}

impl Path for () {
    fn read(_: &str) -> Result<Self, Refusal> {
        Ok(())
    }

    fn describe(_: &mut SchemaGenerator) -> Option<(Schema, &'static str)> {
        None
    }
}

macro_rules! path {
    ($($type:ty, $words:literal;)*) => { $(
        impl Path for $type {
            fn read(text: &str) -> Result<Self, Refusal> {
                text.parse().map_err(|error| Refusal::path(&error))
            }

            fn describe(schemas: &mut SchemaGenerator) -> Option<(Schema, &'static str)> {
                Some((schemas.subschema_for::<Self>(), $words))
            }
        }
    )* };
}

path! {
    TaskId, "The task or chunk.";
    JobId, "The job.";
    QueueName, "The queue.";
    ScheduleName, "The schedule.";
}

/// A lease, as workers are told apart.
pub(super) struct Lease(pub(super) String);

impl Path for Lease {
    fn read(text: &str) -> Result<Self, Refusal> {
        Ok(Self(text.chars().take(200).collect()))
    }

    fn describe(schemas: &mut SchemaGenerator) -> Option<(Schema, &'static str)> {
        Some((schemas.subschema_for::<String>(), "The lease of the worker."))
    }
}

/// What is sent in a request.
pub(super) trait Body: Sized + Send + 'static {
    /// Most bytes of it.
    const MOST: usize;

    /// # Errors
    /// All that is wrong with it.
    fn read(text: &[u8]) -> Result<Self, Refusal>;
    fn schema(schemas: &mut SchemaGenerator) -> Option<Schema>;
}

impl Body for () {
    const MOST: usize = 0;

    fn read(_: &[u8]) -> Result<Self, Refusal> {
        Ok(())
    }

    fn schema(_: &mut SchemaGenerator) -> Option<Schema> {
        None
    }
}

/// What people read of an operation.
#[derive(Debug, Clone, Copy)]
pub(super) struct Words {
    /// Its name for generated clients; does not change.
    pub(super) id: &'static str,
    /// The noun that it belongs to.
    pub(super) tag: &'static str,
    pub(super) summary: &'static str,
    pub(super) text: &'static str,
}

/// Short form of [`Words`].
pub(super) const fn words(
    id: &'static str,
    tag: &'static str,
    summary: &'static str,
    text: &'static str,
) -> Words {
    Words { id, tag, summary, text }
}

/// One operation.
pub(super) struct Operation {
    pub(super) method: Method,
    pub(super) path: &'static str,
    pub(super) words: Words,
    pub(super) writes: bool,
    pub(super) parameter: Option<(Schema, &'static str)>,
    pub(super) query: Vec<(&'static str, String, Value)>,
    pub(super) body: Option<Schema>,
    /// Status, words, media type and schema of what it may answer when all is well.
    pub(super) replies: Vec<(u16, &'static str, &'static str, Schema)>,
}

/// All operations, as they collect.
pub(super) struct Table {
    operations: Vec<Operation>,
    routes: BTreeMap<&'static str, MethodRouter<Monitor>>,
    /// Schemas of what is answered, and of what is sent: of the latter more may be left out.
    answered: SchemaGenerator,
    sent: SchemaGenerator,
}

impl Table {
    pub(super) fn new() -> Self {
        let generator = |contract| {
            let settings = SchemaSettings::draft2020_12().with(|settings| {
                settings.definitions_path = "/components/schemas".into();
                settings.meta_schema = None;
                settings.contract = contract;
            });
            settings.into_generator()
        };
        let (answered, sent) = (generator(Contract::Serialize), generator(Contract::Deserialize));
        Self { operations: Vec::new(), routes: BTreeMap::new(), answered, sent }
    }

    /// Something to read.
    pub(super) fn get<P, Q, R, F, A>(&mut self, path: &'static str, words: Words, handler: F)
    where
        P: Path,
        Q: Query,
        R: Reply,
        F: Fn(Call<P, Q>) -> A + Clone + Send + Sync + 'static,
        A: Future<Output = Result<R, Refusal>> + Send + 'static,
    {
        self.add::<P, Q, (), R, F, A>(Method::GET, path, words, false, handler);
    }

    /// Something that changes something: only for operators.
    pub(super) fn post<P, Q, B, R, F, A>(&mut self, path: &'static str, words: Words, handler: F)
    where
        P: Path,
        Q: Query,
        B: Body,
        R: Reply,
        F: Fn(Call<P, Q, B>) -> A + Clone + Send + Sync + 'static,
        A: Future<Output = Result<R, Refusal>> + Send + 'static,
    {
        self.add::<P, Q, B, R, F, A>(Method::POST, path, words, true, handler);
    }

    fn add<P, Q, B, R, F, A>(
        &mut self,
        method: Method,
        path: &'static str,
        words: Words,
        writes: bool,
        handler: F,
    ) where
        P: Path,
        Q: Query,
        B: Body,
        R: Reply,
        F: Fn(Call<P, Q, B>) -> A + Clone + Send + Sync + 'static,
        A: Future<Output = Result<R, Refusal>> + Send + 'static,
    {
        self.describe::<P, Q, B, R>(method.clone(), path, words, writes);
        let serve = move |State(monitor): State<Monitor>, request: Request| {
            let handler = handler.clone();
            async move {
                let headers = request.headers().clone();
                match answer(monitor, request, writes, handler).await {
                    Ok(reply) => reply.send(&headers),
                    Err(refusal) => refusal.into_response(),
                }
            }
        };
        let filter = MethodFilter::try_from(method).expect("a usual method");
        self.route(path, on(filter, serve));
    }

    /// Something that another part of the monitor serves: the types are said here.
    pub(super) fn mount<P: Path, Q: Query, B: Body, R: Reply>(
        &mut self,
        method: Method,
        path: &'static str,
        words: Words,
        route: MethodRouter<Monitor>,
    ) {
        let writes = method != Method::GET;
        self.describe::<P, Q, B, R>(method, path, words, writes);
        self.route(path, route);
    }

    fn describe<P: Path, Q: Query, B: Body, R: Reply>(
        &mut self,
        method: Method,
        path: &'static str,
        words: Words,
        writes: bool,
    ) {
        self.operations.push(Operation {
            method,
            path,
            words,
            writes,
            parameter: P::describe(&mut self.answered),
            query: Q::parameters(),
            body: B::schema(&mut self.sent),
            replies: R::describe(&mut self.answered),
        });
    }

    fn route(&mut self, path: &'static str, route: MethodRouter<Monitor>) {
        let before = self.routes.remove(path);
        self.routes.insert(path, before.unwrap_or_default().merge(route));
    }

    /// Makes a schema known that parameters refer to by its name.
    pub(super) fn know<T: JsonSchema>(&mut self) {
        let _ = self.answered.subschema_for::<T>();
    }

    /// The routes, with their paths below `/api/v1`.
    pub(super) fn router(self) -> Router<Monitor> {
        self.routes.into_iter().fold(Router::new(), |router, (path, route)| {
            router.route(&format!("{}{path}", openapi::BASE), route)
        })
    }

    /// The OpenAPI document.
    pub(super) fn document(mut self) -> Value {
        let problem = self.answered.subschema_for::<super::refusal::ProblemSchema>();
        let mut schemas = self.sent.take_definitions(true);
        for (name, schema) in self.answered.take_definitions(true) {
            let same =
                schemas.insert(name.clone(), schema.clone()).is_none_or(|sent| sent == schema);
            assert!(
                same,
                "{name} is sent in another form than it is answered: give one another name"
            );
        }
        openapi::document(&self.operations, schemas, &problem)
    }
}

/// Reads a request and hands it to its handler.
async fn answer<P, Q, B, R, F, A>(
    monitor: Monitor,
    request: Request,
    writes: bool,
    handler: F,
) -> Result<R, Refusal>
where
    P: Path,
    Q: Query,
    B: Body,
    F: Fn(Call<P, Q, B>) -> A,
    A: Future<Output = Result<R, Refusal>>,
{
    let (mut parts, body) = request.into_parts();
    let viewer = parts.extensions.get::<Viewer>().cloned().unwrap_or_default();
    if writes {
        guard::may_write(&viewer)?;
    }
    let path = P::read(&path_parameter(&mut parts).await)?;
    let query = query::read(pairs(&parts))?;
    let body = match B::MOST {
        0 => B::read(&[])?,
        most => {
            if !is_json(&parts.headers) {
                return Err(Refusal::media_type());
            }
            let bytes = to_bytes(body, most).await.map_err(|_| Refusal::too_large(most))?;
            B::read(&bytes)?
        }
    };
    handler(Call { monitor, headers: parts.headers, path, query, body, viewer }).await
}

async fn path_parameter(parts: &mut Parts) -> String {
    match RawPathParams::from_request_parts(parts, &()).await {
        Ok(params) => params.iter().next().map_or_else(String::new, |(_, text)| text.to_owned()),
        // Only what is not UTF-8 is rejected, and no id or name is that.
        Err(_) => "\u{fffd}".to_owned(),
    }
}

fn pairs(parts: &Parts) -> Vec<(String, String)> {
    let pairs = axum::extract::Query::try_from_uri(&parts.uri);
    pairs.map(|axum::extract::Query(pairs)| pairs).unwrap_or_default()
}

fn is_json(headers: &HeaderMap) -> bool {
    let kind = headers.get(axum::http::header::CONTENT_TYPE).and_then(|kind| kind.to_str().ok());
    let kind = kind.and_then(|kind| kind.split(';').next()).unwrap_or_default().trim();
    kind.eq_ignore_ascii_case("application/json")
}
