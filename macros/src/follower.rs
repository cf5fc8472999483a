//! The function `after` of a task: the task without its first argument.

use proc_macro2::{Span, TokenStream};
use quote::{quote, quote_spanned};
use syn::ext::IdentExt;
use syn::punctuated::Punctuated;
use syn::spanned::Spanned;
use syn::{Attribute, Expr, ExprLit, Lit, Meta, Token};

use crate::signature::{Param, Signature};

/// Where the first argument stands in the JSON of the arguments.
#[derive(Debug, PartialEq)]
enum Place {
    Field(String),
    /// Nowhere that it could be put by name.
    None,
}

/// Nothing for tasks without arguments, or whose first argument is no field of its own.
pub(crate) fn follower(signature: &Signature) -> TokenStream {
    let (vis, task) = (&signature.function.vis, &signature.function.sig.ident);
    let mut arguments = signature.params.iter().filter_map(|param| match param {
        Param::Argument { name, ty, attrs } => Some((name, ty, attrs)),
        Param::Extractor { .. } => None,
    });
    let Some((first, first_type, attrs)) = arguments.next() else { return TokenStream::new() };
    let Place::Field(field) = place(&first.unraw().to_string(), attrs) else {
        return TokenStream::new();
    };
    let (mut fields, mut names, mut types) = (Vec::new(), Vec::new(), Vec::new());
    for (name, ty, attrs) in arguments {
        fields.push(quote!(#(#attrs)* #name: #ty));
        names.push(name);
        types.push(ty);
    }
    let doc = format!("The task without `{first}`, which is the result of what it follows.");
    let rest = if names.is_empty() { quote!(()) } else { quote!(__Rest { #(#names),* }) };
    let rest_type = (!names.is_empty()).then(|| {
        quote! {
            #[derive(::celeriac::__private::serde::Serialize)]
            #[serde(crate = "::celeriac::__private::serde")]
            struct __Rest { #(#fields),* }
        }
    });
    // At what the function returns: if that is no result, the compiler says so once.
    let span = signature.returns.as_ref().map_or_else(Span::call_site, Spanned::span);
    let follower = quote_spanned! {span=>
        ::celeriac::__private::Follower<#first_type, <#task as ::celeriac::Task>::Output>
    };
    let body = quote_spanned!(span=> ::celeriac::__private::Follower::of::<#task>(&#rest, #field));
    quote! {
        #rest_type

        #[allow(deprecated)]
        impl #task {
            #[doc = #doc]
            #[allow(dead_code, clippy::too_many_arguments)]
            #[must_use = "a task does nothing until it follows something and is enqueued"]
            #vis fn after(
                #(#names: #types),*
            ) -> #follower {
                #body
            }
        }
    }
}

fn place(name: &str, attrs: &[Attribute]) -> Place {
    let mut field = name.to_owned();
    for attr in attrs.iter().filter(|attr| attr.path().is_ident("serde")) {
        let Ok(metas) = attr.parse_args_with(Punctuated::<Meta, Token![,]>::parse_terminated)
        else {
            // Serde itself says what is wrong with it.
            return Place::None;
        };
        for meta in metas {
            match renamed(&meta) {
                Renaming::To(new) => field = new,
                Renaming::No => {}
                Renaming::Away => return Place::None,
            }
        }
    }
    Place::Field(field)
}

enum Renaming {
    No,
    To(String),
    Away,
}

/// What an option of serde says about the name under which a field is read.
fn renamed(meta: &Meta) -> Renaming {
    let path = meta.path();
    if ["flatten", "skip", "skip_deserializing"].iter().any(|name| path.is_ident(name)) {
        return Renaming::Away;
    }
    if !path.is_ident("rename") {
        return Renaming::No;
    }
    match meta {
        Meta::NameValue(pair) => text(&pair.value).map_or(Renaming::No, Renaming::To),
        Meta::List(list) => {
            let both = list.parse_args_with(Punctuated::<Meta, Token![,]>::parse_terminated);
            let read = both.into_iter().flatten().find(|meta| meta.path().is_ident("deserialize"));
            match read {
                Some(Meta::NameValue(pair)) => text(&pair.value).map_or(Renaming::No, Renaming::To),
                _ => Renaming::No,
            }
        }
        Meta::Path(_) => Renaming::No,
    }
}

fn text(value: &Expr) -> Option<String> {
    match value {
        Expr::Lit(ExprLit { lit: Lit::Str(text), .. }) => Some(text.value()),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use syn::parse_quote;

    #[test]
    fn the_name_of_a_field_is_the_one_that_serde_reads() {
        let field = |name: &str| Place::Field(name.to_owned());
        let cases: [(Attribute, Place); 6] = [
            (parse_quote!(#[doc = "x"]), field("n")),
            (parse_quote!(#[serde(default, rename = "m")]), field("m")),
            (parse_quote!(#[serde(rename(serialize = "a", deserialize = "b"))]), field("b")),
            (parse_quote!(#[serde(rename(serialize = "a"))]), field("n")),
            (parse_quote!(#[serde(flatten)]), Place::None),
            (parse_quote!(#[serde(skip)]), Place::None),
        ];
        for (attr, expected) in cases {
            assert_eq!(place("n", &[attr]), expected);
        }
    }
}
