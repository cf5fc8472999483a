//! `#[celeriac::task]`: from a function to a task. Users get it from the crate `celeriac`, whose
//! paths the expansion names.

mod duration;
mod errors;
mod expand;
mod follower;
mod options;
mod signature;

use errors::Errors;
use options::Options;
use proc_macro::TokenStream;
use signature::Signature;

/// Makes a task of a function.
///
/// ```ignore
/// use celeriac::{Data, TaskError};
///
/// /// Loads a page and tells how long it is.
/// #[celeriac::task(name = "web/page-size", queue = "web", retries = 5, timeout = "30s")]
/// async fn page_size(url: String, http: Data<Client>) -> Result<usize, TaskError> {
///     Ok(http.get(&url).await?.len())
/// }
///
/// #[celeriac::task(name = "math/sum-of-squares", cpu)]
/// fn sum_of_squares(from: u64, to: u64) -> Result<u64, TaskError> {
///     Ok((from..to).map(|n| n * n).sum())
/// }
/// ```
///
/// Then `page_size("https://…".to_owned())` is a task that can be enqueued, and
/// `Registry::new(client).add::<page_size>()` teaches a worker to run it.
///
/// # Parameters
///
/// Parameters of type `Data<…>`, `Context`, `Attempt`, `Chunk` or `Option<Chunk>` (told by the
/// last name of the path) and those marked `#[extract]` are filled in by the worker, at most six
/// of them. All others are the arguments of the task: owned values with names, stored as a JSON
/// object. `#[serde(…)]` on an argument works as on a field; `#[serde(default)]` is how an
/// argument is added while tasks without it are still queued.
///
/// # Result
///
/// The function returns `Result<T, E>`: `T` is stored as JSON, `E` is `TaskError` or any other
/// error or text, after which the task is tried again as its options say.
///
/// # Options, only `name` is required
///
/// | option | meaning | default |
/// | --- | --- | --- |
/// | `name = "img/thumb"` | name on the wire: `a-z A-Z 0-9 _ . - /` | required |
/// | `queue = "img"` | queue: `a-z A-Z 0-9 _ . -` | `default` |
/// | `needs = "gpu"` | runs only on workers with this label | any worker |
/// | `tenant = "acme"` | for whom it is run: what limits and fair turns go by | nobody |
/// | `priority = 7` | 0 to 9, 9 runs first | 5 |
/// | `cost = 2` | slots of its worker that it takes | 1 |
/// | `retries = 3` | attempts after the first one | 3 |
/// | `backoff = "1s..10m"` | longest wait before the first retry, doubled for each further one up to the second value, with jitter; or always the same `"30s"`; or listed `"1s,10s,5m"`; and then ` jitter` or ` exact` | `1s..10m` |
/// | `timeout = "30s"` | longest time of an attempt | none |
/// | `soft_timeout = "25s"` | when an attempt is told to save what it has and end | none |
/// | `keep = "1h"` | how long the outcome is kept | `1d` |
/// | `keep_on_failure = "1h"` | the same, but the outcome is only kept if the task fails for good | |
/// | `idempotent` | two runs at once do no harm: then chunks that take too long may be started a second time (`NewJob::speculate`) | it must not |
/// | `cpu` | the function computes: it is not async and gets a thread to itself | async |
///
/// Durations are a whole number with `ms`, `s`, `m`, `h` or `d`.
///
/// The name is written out, and not taken from the function: then a function can be renamed, or
/// moved, while tasks are queued. Queued tasks of a name that is gone find nobody to run them.
///
/// # Expansion
///
/// A struct with the name of the function, whose fields are the arguments; `Task` for it; a
/// function of the same name that builds it; `RegisteredTask` for it, which calls the body. Each
/// of them can be written by hand instead, see `celeriac::Task` and `celeriac::Registry::task`.
///
/// If the task has arguments, the struct has a function `after`, which takes all of them but the first and
/// makes a follower: in a workflow the result of what it follows is that first argument. See
/// `celeriac::workflow`. A first argument that is flattened or skipped by serde has no such function.
#[proc_macro_attribute]
pub fn task(options: TokenStream, item: TokenStream) -> TokenStream {
    expand(options.into(), item.into()).unwrap_or_else(|error| error.to_compile_error()).into()
}

fn expand(
    options: proc_macro2::TokenStream,
    item: proc_macro2::TokenStream,
) -> syn::Result<proc_macro2::TokenStream> {
    let item: syn::ItemFn = syn::parse2(item).map_err(|error| {
        syn::Error::new(error.span(), format!("`#[celeriac::task]` goes on a function: {error}"))
    })?;
    let mut bad_options = Errors::default();
    let options = Options::parse(options, &item.sig.ident, &mut bad_options);
    let mut bad_function = Errors::default();
    let signature = Signature::parse(item, &options, &mut bad_function);
    let Some(bad_function) = bad_function.into_error() else {
        // A wrong option leaves the task usable, so that what uses it adds no further errors.
        let task = expand::task(&options, &signature);
        let errors = bad_options.into_error().map(|error| error.to_compile_error());
        return Ok(quote::quote!(#errors #task));
    };
    bad_options.add(bad_function);
    Err(bad_options.into_error().expect("there is one"))
}
