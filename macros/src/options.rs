//! The options of the attribute: read, checked, in the units of the protocol.

use std::fmt::Display;

use proc_macro2::{Span, TokenStream};
use quote::ToTokens;
use syn::ext::IdentExt;
use syn::parse::Parser;
use syn::punctuated::Punctuated;
use syn::{Expr, ExprLit, Ident, Lit, LitInt, LitStr, Meta, Token};

use crate::duration;
use crate::errors::Errors;

const KNOWN: &str = "`name`, `queue`, `needs`, `tenant`, `priority`, `cost`, `retries`, `backoff`, `timeout`, `soft_timeout`, `keep`, `keep_on_failure`, `idempotent`, `cpu`";

/// What was set; the rest has the defaults of the protocol.
#[derive(Default)]
pub(crate) struct Options {
    pub(crate) name: Option<String>,
    pub(crate) queue: Option<String>,
    pub(crate) needs: Option<String>,
    pub(crate) tenant: Option<String>,
    pub(crate) priority: Option<u8>,
    pub(crate) cost: Option<u32>,
    pub(crate) retries: Option<u32>,
    pub(crate) backoff: Option<duration::Backoff>,
    pub(crate) timeout_ms: Option<u64>,
    pub(crate) soft_timeout_ms: Option<u64>,
    pub(crate) keep_ms: Option<u64>,
    pub(crate) keep_on_failure_ms: Option<u64>,
    /// It may run twice at once.
    pub(crate) idempotent: bool,
    /// The function computes.
    pub(crate) cpu: bool,
}

impl Options {
    /// Reads the options of the task of a function. What is wrong goes into `errors` and counts as
    /// not set; without a name, or with a wrong one, the task has that of the function.
    pub(crate) fn parse(tokens: TokenStream, function: &Ident, errors: &mut Errors) -> Self {
        let mut options = Self::default();
        match Punctuated::<Meta, Token![,]>::parse_terminated.parse2(tokens) {
            Ok(metas) => {
                for meta in &metas {
                    options.set(meta).unwrap_or_else(|error| errors.add(error));
                }
                options.refuse_two_retentions(&metas, errors);
                refuse_no_name(&metas, function, errors);
            }
            Err(error) => errors.add(error),
        }
        options.name.get_or_insert_with(|| function.unraw().to_string());
        options
    }

    fn refuse_two_retentions(&self, metas: &Metas, errors: &mut Errors) {
        if self.keep_ms.is_some()
            && self.keep_on_failure_ms.is_some()
            && let Some(meta) = metas.iter().find(|meta| meta.path().is_ident("keep_on_failure"))
        {
            errors.at(
                meta,
                "`keep` and `keep_on_failure` exclude each other: what succeeds is kept, or it is not",
            );
        }
    }

    fn set(&mut self, meta: &Meta) -> syn::Result<()> {
        let option = meta.path().require_ident()?;
        match option.to_string().as_str() {
            "name" => once(&mut self.name, option, name(text(meta)?, "task", 200, "_.-/")?),
            "queue" => once(&mut self.queue, option, name(text(meta)?, "queue", 100, "_.-")?),
            "needs" => once(&mut self.needs, option, name(text(meta)?, "label", 50, "_.-")?),
            "tenant" => once(&mut self.tenant, option, name(text(meta)?, "tenant", 200, "_.-/@+")?),
            "priority" => once(&mut self.priority, option, priority(number(meta)?)?),
            "cost" => once(&mut self.cost, option, cost(number(meta)?)?),
            "retries" => once(&mut self.retries, option, retries(number(meta)?)?),
            "backoff" => once(&mut self.backoff, option, parsed(text(meta)?, duration::backoff)?),
            "timeout" => once(&mut self.timeout_ms, option, parsed(text(meta)?, timeout)?),
            "soft_timeout" => {
                once(&mut self.soft_timeout_ms, option, parsed(text(meta)?, timeout)?)
            }
            "keep" => once(&mut self.keep_ms, option, parsed(text(meta)?, duration::milliseconds)?),
            "keep_on_failure" => {
                let ms = parsed(text(meta)?, duration::milliseconds)?;
                once(&mut self.keep_on_failure_ms, option, ms)
            }
            "idempotent" => flag(&mut self.idempotent, option, meta),
            "cpu" => flag(&mut self.cpu, option, meta),
            other => Err(error(option, format!("unknown option `{other}`: there are {KNOWN}"))),
        }
    }
}

type Metas = Punctuated<Meta, Token![,]>;

/// The name is written out, since that of the function may change while tasks are queued.
fn refuse_no_name(metas: &Metas, function: &Ident, errors: &mut Errors) {
    if metas.iter().any(|meta| meta.path().is_ident("name")) {
        return;
    }
    let name = function.unraw().to_string();
    let name = if is_name(&name, 200, "_") { name } else { "…".to_owned() };
    let rest = metas.iter().map(|meta| format!(", {}", meta.to_token_stream()));
    let line = format!("#[celeriac::task(name = \"{name}\"{})]", rest.collect::<String>());
    let message = format!(
        "a task needs a name of its own, so that queued tasks are still found when the function is renamed: write `{line}`"
    );
    errors.add(syn::Error::new(Span::call_site(), message));
}

fn error(at: impl ToTokens, message: impl Display) -> syn::Error {
    syn::Error::new_spanned(at, message)
}

fn once<T>(slot: &mut Option<T>, option: &Ident, value: T) -> syn::Result<()> {
    match slot.replace(value) {
        None => Ok(()),
        Some(_) => Err(twice(option)),
    }
}

fn flag(slot: &mut bool, option: &Ident, meta: &Meta) -> syn::Result<()> {
    meta.require_path_only().map_err(|_| error(meta, format!("`{option}` takes no value")))?;
    match std::mem::replace(slot, true) {
        false => Ok(()),
        true => Err(twice(option)),
    }
}

fn twice(option: &Ident) -> syn::Error {
    error(option, format!("option `{option}` is set twice"))
}

fn literal(meta: &Meta) -> Option<&Lit> {
    match &meta.require_name_value().ok()?.value {
        Expr::Lit(ExprLit { lit, .. }) => Some(lit),
        _ => None,
    }
}

fn text(meta: &Meta) -> syn::Result<&LitStr> {
    match literal(meta) {
        Some(Lit::Str(text)) => Ok(text),
        _ => Err(wrong_value(meta, "\"…\"")),
    }
}

fn number(meta: &Meta) -> syn::Result<&LitInt> {
    match literal(meta) {
        Some(Lit::Int(number)) => Ok(number),
        _ => Err(wrong_value(meta, "3")),
    }
}

fn wrong_value(meta: &Meta, example: &str) -> syn::Error {
    let option = meta.path().get_ident().map(Ident::to_string).unwrap_or_default();
    error(meta, format!("option `{option}` is written `{option} = {example}`"))
}

fn parsed<T>(text: &LitStr, parse: impl Fn(&str) -> Result<T, String>) -> syn::Result<T> {
    parse(&text.value()).map_err(|message| error(text, message))
}

fn name(text: &LitStr, what: &str, max: usize, extra: &str) -> syn::Result<String> {
    let name = text.value();
    if is_name(&name, max, extra) {
        return Ok(name);
    }
    let extra: String = extra.chars().flat_map(|c| [' ', c]).collect();
    let allowed = format!("use 1 to {max} of the characters a-z A-Z 0-9{extra}");
    Err(error(text, format!("`{name}` is not the name of a {what}: {allowed}")))
}

/// Whether the protocol takes this name.
fn is_name(name: &str, max: usize, extra: &str) -> bool {
    let allowed = |c: char| c.is_ascii_alphanumeric() || extra.contains(c);
    !name.is_empty() && name.len() <= max && name.chars().all(allowed)
}

fn priority(number: &LitInt) -> syn::Result<u8> {
    match number.base10_parse() {
        Ok(priority @ 0..=9) => Ok(priority),
        _ => Err(error(number, "a priority is 0 to 9; 9 runs first")),
    }
}

fn cost(number: &LitInt) -> syn::Result<u32> {
    match number.base10_parse() {
        Ok(slots @ 1..) => Ok(slots),
        _ => Err(error(number, "a cost is 1 slot or more")),
    }
}

fn retries(number: &LitInt) -> syn::Result<u32> {
    number
        .base10_parse()
        .map_err(|_| error(number, "a number of retries is 0 or more; 0 means one attempt"))
}

fn timeout(text: &str) -> Result<u64, String> {
    match duration::milliseconds(text)? {
        0 => Err("a time-out of 0 lets nothing run: leave the option out for none".to_owned()),
        ms => Ok(ms),
    }
}
