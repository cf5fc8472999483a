//! The code that takes the place of the function.

use proc_macro2::{Span, TokenStream};
use quote::{format_ident, quote, quote_spanned};
use syn::ext::IdentExt;
use syn::spanned::Spanned;
use syn::{Attribute, Ident, ItemFn, Type};

use crate::duration;
use crate::follower;
use crate::options::Options;
use crate::signature::{Param, Signature};

/// All that a task consists of.
pub(crate) fn task(options: &Options, signature: &Signature) -> TokenStream {
    let docs = attributes(&signature.function, &["doc", "cfg", "deprecated"]);
    let cfgs = attributes(&signature.function, &["cfg"]);
    let arguments = arguments(&signature.params, &docs, &signature.function);
    let body = body(&signature.function);
    let task_impl = task_impl(options, signature);
    let registered = registered(options, signature);
    let follower = follower::follower(signature);
    quote! {
        #arguments

        #(#cfgs)*
        const _: () = {
            #body
            #task_impl
            #registered
            #follower
        };
    }
}

/// The struct and the function that builds it.
fn arguments(params: &[Param], docs: &[&Attribute], function: &ItemFn) -> TokenStream {
    let (vis, name) = (&function.vis, &function.sig.ident);
    let (mut fields, mut names, mut types) = (Vec::new(), Vec::new(), Vec::new());
    for param in params {
        if let Param::Argument { name, ty, attrs } = param {
            fields.push(quote!(#(#attrs)* #vis #name: #ty));
            names.push(name);
            types.push(ty);
        }
    }
    quote! {
        #(#docs)*
        #[allow(non_camel_case_types, missing_docs)]
        #[derive(::celeriac::__private::serde::Serialize, ::celeriac::__private::serde::Deserialize)]
        #[serde(crate = "::celeriac::__private::serde")]
        #vis struct #name { #(#fields),* }

        #(#docs)*
        #[allow(dead_code, deprecated, clippy::too_many_arguments)]
        #[must_use = "a task does nothing until it is enqueued"]
        #vis fn #name(#(#names: #types),*) -> #name {
            #name { #(#names),* }
        }
    }
}

/// The function as the user wrote it, under another name.
fn body(function: &ItemFn) -> TokenStream {
    let mut body = function.clone();
    body.vis = syn::Visibility::Inherited;
    body.sig.ident = body_name(function);
    body.attrs
        .retain(|attr| !["doc", "cfg", "deprecated"].iter().any(|name| attr.path().is_ident(name)));
    // Arguments are owned and as many as the task needs: both are its nature.
    quote! {
        #[allow(clippy::too_many_arguments, clippy::needless_pass_by_value)]
        #body
    }
}

fn body_name(function: &ItemFn) -> Ident {
    format_ident!("__{}", function.sig.ident.unraw(), span = function.sig.ident.span())
}

fn task_impl(options: &Options, signature: &Signature) -> TokenStream {
    let ident = &signature.function.sig.ident;
    let name = options.name.as_deref().expect("read with the name of the function");
    let returns = &signature.returns;
    let span = returns.as_ref().map_or_else(Span::call_site, Spanned::span);
    let output = quote_spanned! {span=>
        type Output = <#returns as ::celeriac::__private::TaskResult>::Output;
    };
    let set = set_options(options);
    let idempotent = options.idempotent.then(|| {
        quote!(
            const IDEMPOTENT: bool = true;
        )
    });
    let needs = options.needs.as_ref().map(|label| {
        quote! {
            fn needs() -> ::core::option::Option<::celeriac::Label> {
                ::core::option::Option::Some(::celeriac::__private::label(#label))
            }
        }
    });
    quote! {
        #[allow(deprecated)]
        impl ::celeriac::Task for #ident {
            const NAME: &'static str = #name;
            #idempotent
            #output
            #needs

            #[allow(clippy::field_reassign_with_default)]
            fn options() -> ::celeriac::TaskOptions {
                #[allow(unused_mut)]
                let mut options = <::celeriac::TaskOptions as ::core::default::Default>::default();
                #(#set)*
                options
            }
        }
    }
}

fn set_options(options: &Options) -> impl Iterator<Item = TokenStream> {
    let queue = options.queue.as_ref();
    let queue = queue.map(|name| quote!(options.queue = ::celeriac::__private::queue(#name);));
    let tenant = options.tenant.as_ref().map(|tenant| {
        let tenant = quote!(::celeriac::__private::tenant(#tenant));
        quote!(options.tenant = ::core::option::Option::Some(#tenant);)
    });
    let priority = options.priority;
    let priority =
        priority.map(|n| quote!(options.priority = ::celeriac::__private::priority(#n);));
    let cost = options.cost.map(|slots| quote!(options.cost = #slots;));
    let retries = options.retries.map(|n| quote!(options.retry.retries = #n;));
    let backoff = options.backoff.as_ref().map(|backoff| {
        let duration::Backoff { base_ms, cap_ms, delays_ms, exact } = backoff;
        quote! {
            options.retry.backoff.base_ms = #base_ms;
            options.retry.backoff.cap_ms = #cap_ms;
            options.retry.backoff.delays_ms = ::std::vec![#(#delays_ms),*];
            options.retry.backoff.exact = #exact;
        }
    });
    let ms = options.timeout_ms;
    let timeout = ms.map(|ms| quote!(options.timeout_ms = ::core::option::Option::Some(#ms);));
    let keep = options.keep_ms.map(|ms| quote!(options.keep_ms = #ms;));
    let ms = options.soft_timeout_ms;
    let soft = ms.map(|ms| quote!(options.soft_timeout_ms = ::core::option::Option::Some(#ms);));
    let keep_failed = options.keep_on_failure_ms.map(|ms| {
        quote! {
            options.keep_ms = 0;
            options.keep_failed_ms = ::core::option::Option::Some(#ms);
        }
    });
    let set = [queue, tenant, priority, cost, retries, backoff, timeout, soft, keep, keep_failed];
    set.into_iter().flatten()
}

fn registered(options: &Options, signature: &Signature) -> TokenStream {
    let ident = &signature.function.sig.ident;
    let body = body_name(&signature.function);
    let register = Ident::new(if options.cpu { "cpu_task" } else { "task" }, ident.span());
    let (mut extractors, mut types, mut fields, mut call) = (vec![], vec![], vec![], vec![]);
    for (index, param) in signature.params.iter().enumerate() {
        match param {
            Param::Argument { name, .. } => {
                fields.push(name.clone());
                call.push(name.clone());
            }
            Param::Extractor { ty } => {
                let extractor = format_ident!("__extractor{index}", span = Span::mixed_site());
                extractors.push(extractor.clone());
                types.push(ty);
                call.push(extractor);
            }
        }
    }
    let bounds = types.iter().map(|ty| bound(ty));
    // At the name of the function, so that an error about its future points there.
    let call = quote_spanned! {ident.span()=>
        registry.#register(
            |#(#extractors: #types,)* #ident { #(#fields),* }: #ident| #body(#(#call),*)
        )
    };
    quote! {
        #[allow(deprecated)]
        impl<__S> ::celeriac::__private::RegisteredTask<__S> for #ident
        where
            __S: ::core::marker::Send + ::core::marker::Sync + 'static,
            #(#bounds,)*
        {
            #[track_caller]
            fn register(
                registry: ::celeriac::Registry<__S>,
            ) -> ::celeriac::Registry<__S> {
                #call
            }
        }
    }
}

fn bound(ty: &Type) -> TokenStream {
    quote_spanned!(ty.span()=> #ty: ::celeriac::__private::FromContext<__S>)
}

fn attributes<'a>(function: &'a ItemFn, names: &[&str]) -> Vec<&'a Attribute> {
    function
        .attrs
        .iter()
        .filter(|attr| names.iter().any(|name| attr.path().is_ident(name)))
        .collect()
}
