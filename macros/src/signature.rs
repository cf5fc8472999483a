//! The function under the attribute: which parameters are arguments and which are extractors,
//! and what a task cannot be.

use proc_macro2::{TokenStream, TokenTree};
use quote::ToTokens;
use syn::{
    Attribute, FnArg, GenericArgument, Ident, ItemFn, Pat, PatType, Path, PathArguments,
    ReturnType, Type,
};

use crate::errors::Errors;
use crate::options::Options;

/// More are not possible in `Handler`.
const MAX_EXTRACTORS: usize = 6;

/// A function that can be a task.
pub(crate) struct Signature {
    /// The function; what only concerns the struct was taken off its parameters.
    pub(crate) function: ItemFn,
    /// Its parameters in order.
    pub(crate) params: Vec<Param>,
    /// What it returns.
    pub(crate) returns: Option<Type>,
}

pub(crate) enum Param {
    /// A field of the task.
    Argument { name: Ident, ty: Type, attrs: Vec<Attribute> },
    /// Filled in by the worker.
    Extractor { ty: Type },
}

impl Signature {
    /// Takes the function apart.
    pub(crate) fn parse(mut function: ItemFn, options: &Options, errors: &mut Errors) -> Self {
        refuse_kinds(&function, errors);
        refuse_wrong_thread(&function, options, errors);
        let mut params = Vec::new();
        for input in &mut function.sig.inputs {
            match input {
                FnArg::Receiver(receiver) => errors.at(
                    receiver,
                    "a task is a free function: what `self` would hold comes as `Data<…>`",
                ),
                FnArg::Typed(param) => match Param::parse(param) {
                    Ok(param) => params.push(param),
                    Err(error) => errors.add(error),
                },
            }
        }
        refuse_many_extractors(&params, &function, errors);
        let returns = match &function.sig.output {
            ReturnType::Type(_, ty) => Some((**ty).clone()),
            ReturnType::Default => {
                errors.at(
                    &function.sig.ident,
                    "a task returns a `Result`: write `-> Result<(), TaskError>` if there is nothing to return",
                );
                None
            }
        };
        Self { function, params, returns }
    }
}

fn refuse_kinds(function: &ItemFn, errors: &mut Errors) {
    let sig = &function.sig;
    if !sig.generics.params.is_empty() {
        errors
            .at(&sig.generics, "a task has one type for each argument: generics are not possible");
    }
    let qualifiers = [
        sig.constness.to_token_stream(),
        sig.safety.to_token_stream(),
        sig.abi.to_token_stream(),
        sig.variadic.to_token_stream(),
    ];
    for token in qualifiers.into_iter().filter_map(|tokens| tokens.into_iter().next()) {
        errors.at(token, "a task is a plain `async fn` or `fn`");
    }
}

fn refuse_wrong_thread(function: &ItemFn, options: &Options, errors: &mut Errors) {
    let sig = &function.sig;
    match (sig.asyncness, options.cpu) {
        (Some(token), true) => errors.at(
            token,
            "a `cpu` task has a thread to itself and is not async: remove `async`, or the option `cpu`",
        ),
        (None, false) => errors.at(
            sig.fn_token,
            "a function that is not async needs a thread to itself: write `async fn`, or add the option `cpu`",
        ),
        _ => {}
    }
}

fn refuse_many_extractors(params: &[Param], function: &ItemFn, errors: &mut Errors) {
    let extractors = params.iter().filter(|param| matches!(param, Param::Extractor { .. }));
    if extractors.count() > MAX_EXTRACTORS {
        errors.at(
            &function.sig.inputs,
            "a task has at most 6 extractors: put several into one `Data<…>`",
        );
    }
}

impl Param {
    fn parse(param: &mut PatType) -> syn::Result<Self> {
        let marked = take(&mut param.attrs, &["extract"]);
        let ty = (*param.ty).clone();
        if !marked.is_empty() || is_extractor(&ty) {
            return Ok(Self::Extractor { ty });
        }
        let attrs = take(&mut param.attrs, &["serde", "doc"]);
        let name = argument_name(&param.pat)?;
        refuse_borrowed(&ty)?;
        Ok(Self::Argument { name, ty, attrs })
    }
}

/// Removes and returns the attributes with one of these names.
fn take(attrs: &mut Vec<Attribute>, names: &[&str]) -> Vec<Attribute> {
    attrs.extract_if(.., |attr| names.iter().any(|name| attr.path().is_ident(name))).collect()
}

fn argument_name(pat: &Pat) -> syn::Result<Ident> {
    match pat {
        Pat::Ident(pat) if pat.by_ref.is_none() && pat.subpat.is_none() => Ok(pat.ident.clone()),
        _ => Err(syn::Error::new_spanned(
            pat,
            "an argument of a task needs a name, which is stored with its value: take it apart in the body",
        )),
    }
}

fn refuse_borrowed(ty: &Type) -> syn::Result<()> {
    if let Type::ImplTrait(_) = ty {
        let message = "a task has one type for each argument: `impl` is not possible";
        return Err(syn::Error::new_spanned(ty, message));
    }
    if has_reference(ty.to_token_stream()) {
        let message = "arguments are read from the queue and cannot be borrowed: take an owned value, such as `String` for `&str`";
        return Err(syn::Error::new_spanned(ty, message));
    }
    Ok(())
}

fn has_reference(tokens: TokenStream) -> bool {
    tokens.into_iter().any(|token| match token {
        TokenTree::Punct(punct) => punct.as_char() == '&',
        TokenTree::Group(group) => has_reference(group.stream()),
        _ => false,
    })
}

fn is_extractor(ty: &Type) -> bool {
    match last_segment(ty) {
        Some((name, PathArguments::AngleBracketed(args))) if name == "Option" => {
            matches!(args.args.first(), Some(GenericArgument::Type(ty)) if is_named(ty, "Chunk"))
        }
        Some((name, _)) => {
            ["Data", "Context", "Attempt", "Chunk"].iter().any(|known| name == known)
        }
        None => false,
    }
}

fn is_named(ty: &Type, expected: &str) -> bool {
    last_segment(ty).is_some_and(|(name, _)| name == expected)
}

fn last_segment(ty: &Type) -> Option<(&Ident, &PathArguments)> {
    let Type::Path(path) = ty else { return None };
    let path: &Path = &path.path;
    path.segments.last().map(|segment| (&segment.ident, &segment.arguments))
}
