//! Who asks, and what they may do. [`Access`] is what was configured, [`Guard`] decides by it, and
//! [`gate`] stands in front of all routes. What is not allowed here is not allowed at all: no route
//! has to remember anything, and one that changes something is for operators whatever it is.
//!
//! | who | how | proves forms with |
//! | --- | --- | --- |
//! | a person | name and password, then a signed cookie | origin of the request, and a token in the form |
//! | a program | `Authorization: Bearer` | nothing: no browser sends that by itself |
//! | whom a proxy let in | a header, from the addresses of the proxy alone | as a person |
//! | anybody | nothing | is never allowed to change anything |

mod access;
mod forgery;
mod gate;
mod guard;
mod limiter;
mod networks;
mod password;
mod peer;
mod refusal;
mod session;
mod viewer;

pub use access::{Access, AccessOptions, InvalidAccess};
pub use password::hash_password;

pub(crate) use forgery::{hex, is_ours};
pub(crate) use gate::gate;
pub(crate) use guard::{Guard, LoginFailed};
pub(crate) use peer::Peer;
pub(crate) use session::{NOTICE, cookie};
pub(crate) use viewer::{Role, Viewer};
