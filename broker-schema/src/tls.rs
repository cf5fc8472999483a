//! TLS: whose certificates are believed, and which one we show. How connections use them is the matter
//! of the client library.

use std::path::PathBuf;

use redis::ConnectionInfo;

/// The files of connections under TLS, as PEM. None of them: the authorities that the system believes,
/// and no certificate of our own.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct TlsFiles {
    /// The certificates of the authority that signed those of the servers, instead of the authorities
    /// that the system believes.
    pub ca: Option<PathBuf>,
    /// The certificate that is shown to servers, with those between it and its authority.
    pub cert: Option<PathBuf>,
    /// The key of that certificate.
    pub key: Option<PathBuf>,
}

impl TlsFiles {
    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }

    /// Reads the files, and has every connection of this kind use them.
    pub(crate) fn reader(
        &self,
    ) -> Result<impl Fn(ConnectionInfo) -> Result<ConnectionInfo, String>, String> {
        if self.cert.is_some() != self.key.is_some() {
            return Err("a client certificate and its key are given together".to_owned());
        }
        #[cfg(feature = "tls")]
        let certificates = self.read()?;
        #[cfg(not(feature = "tls"))]
        if !self.is_empty() {
            return Err("this program was built without TLS (feature `tls`)".to_owned());
        }
        Ok(move |info: ConnectionInfo| {
            if !info.addr().is_supported() {
                return Err("this program was built without TLS (feature `tls`)".to_owned());
            }
            #[cfg(feature = "tls")]
            if let Some(certificates) = &certificates {
                let client = redis::Client::build_with_tls(info, certificates.clone());
                let client = client.map_err(|error| format!("{error} (the files for TLS)"))?;
                return Ok(client.get_connection_info().clone());
            }
            Ok(info)
        })
    }

    #[cfg(feature = "tls")]
    fn read(&self) -> Result<Option<redis::TlsCertificates>, String> {
        let read = |path: &PathBuf| {
            std::fs::read(path)
                .map_err(|error| format!("{} cannot be read: {error}", path.display()))
        };
        if self.is_empty() {
            return Ok(None);
        }
        let client_tls = match (&self.cert, &self.key) {
            (Some(cert), Some(key)) => {
                Some(redis::ClientTlsConfig { client_cert: read(cert)?, client_key: read(key)? })
            }
            _ => None,
        };
        let root_cert = self.ca.as_ref().map(read).transpose()?;
        let has_one = |pem: &[u8]| pem.windows(11).any(|words| words == b"CERTIFICATE");
        if let (Some(pem), Some(path)) = (&root_cert, &self.ca)
            && !has_one(pem)
        {
            return Err(format!("{} has no certificate as PEM", path.display()));
        }
        Ok(Some(redis::TlsCertificates { client_tls, root_cert }))
    }
}
