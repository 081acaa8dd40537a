//! An STS that refuses what AWS refuses: a signature that the keys do not make, one of another time than its own, and keys
//! whose end has come. botocore works the signatures out. No server of others knows when keys end: this part is simulated,
//! with AWS's codes and wording.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::{Duration, Instant, SystemTime};

use anyhow::{Context, Result};
use chrono::{DateTime, NaiveDateTime, SecondsFormat, TimeDelta, Utc};
use serde_json::json;

use crate::botocore;
use crate::dialogue::Dialogue;
use crate::http::{HttpServer, Reply, Request};
use crate::net::{Net, Side};

/// How far the time of a signature may be from that of STS.
const WINDOW: TimeDelta = TimeDelta::minutes(15);

/// Temporary keys.
#[derive(Clone)]
pub struct Keys {
    /// `AccessKeyId`.
    pub access: String,
    /// `SecretAccessKey`.
    pub secret: String,
    /// `Token`.
    pub token: String,
    expiration: DateTime<Utc>,
}

impl Keys {
    /// When they end, in true time, as RFC 3339.
    pub fn expiration(&self) -> String {
        self.expiration.to_rfc3339_opts(SecondsFormat::Secs, true)
    }

    /// What a metadata service hands out.
    pub fn document(&self) -> String {
        json!({
            "Code": "Success", "Type": "AWS-HMAC", "AccessKeyId": self.access, "SecretAccessKey": self.secret,
            "Token": self.token, "Expiration": self.expiration(),
            "LastUpdated": (self.expiration - TimeDelta::hours(6)).to_rfc3339_opts(SecondsFormat::Secs, true),
        })
        .to_string()
    }

    /// A profile of the shared credentials file, with the mark of a tool that says when they end.
    pub fn profile(&self, name: &str) -> String {
        format!(
            "[{name}]\naws_access_key_id = {}\naws_secret_access_key = {}\naws_session_token = {}\n\
             x_security_token_expires = {}\n",
            self.access,
            self.secret,
            self.token,
            self.expiration()
        )
    }
}

/// A running service, which lives by the machine's clock: that is true time.
pub struct Sts {
    server: HttpServer,
    issued: Arc<Mutex<BTreeMap<String, Keys>>>,
    refused: Arc<OnceLock<Instant>>,
}

impl Sts {
    /// Starts one on AWS's side.
    ///
    /// # Errors
    /// When the address is not there or taken, or botocore does not start.
    pub fn start(net: &Net, address: SocketAddr) -> Result<Self> {
        let server = HttpServer::start(net, Side::Aws, address)?;
        let issued = Arc::new(Mutex::new(BTreeMap::new()));
        let refused = Arc::new(OnceLock::new());
        let botocore = Mutex::new(botocore::verifier(net)?);
        server.on_each("POST /", {
            let (issued, refused, url) = (Arc::clone(&issued), Arc::clone(&refused), server.url());
            move |request| {
                let answer = judge(request, &url, &issued, &botocore)
                    .unwrap_or_else(|error| Err(("IncompleteSignature", format!("{error:#}"))));
                if answer.is_err() {
                    refused.get_or_init(Instant::now);
                }
                reply(answer)
            }
        });
        Ok(Self { server, issued, refused })
    }

    /// New keys with so much life.
    pub fn issue(&self, life: Duration) -> Keys {
        let mut issued = self.issued.lock().unwrap_or_else(PoisonError::into_inner);
        let name = format!("{:04}", issued.len());
        let keys = Keys {
            access: format!("ASIALABKEY{name}"),
            secret: format!("SecretPiece{name}SecretPiece{name}SecretPiece"),
            token: format!("TokenPiece{name}TokenPiece{name}TokenPiece"),
            expiration: DateTime::<Utc>::from(SystemTime::now() + life),
        };
        issued.insert(keys.access.clone(), keys.clone());
        keys
    }

    /// When the first request was refused.
    pub fn first_refusal(&self) -> Option<Instant> {
        self.refused.get().copied()
    }

    /// Where it is.
    pub fn url(&self) -> String {
        self.server.url()
    }
}

/// Whose keys made the signature, or AWS's code and message.
type Answer = Result<String, (&'static str, String)>;

/// # Errors
/// When the request is not one that can be judged.
fn judge(
    request: &Request,
    url: &str,
    issued: &Mutex<BTreeMap<String, Keys>>,
    botocore: &Mutex<Dialogue>,
) -> Result<Answer> {
    let header = |name: &str| request.headers.get(name).with_context(|| format!("no header {name}"));
    let given = header("authorization")?.split_once("Credential=").context("no Credential")?.1;
    let mut scope = given.split(['/', ',']);
    let mut next = || scope.next().context("no scope");
    let (access, _day, region, service) = (next()?, next()?, next()?, next()?);
    let keys = issued.lock().unwrap_or_else(PoisonError::into_inner).get(access).cloned();
    let Some(keys) = keys.filter(|keys| header("x-amz-security-token").is_ok_and(|token| *token == keys.token)) else {
        return Ok(Err(("InvalidClientTokenId", "The security token included in the request is invalid.".to_owned())));
    };
    let (now, date) = (DateTime::<Utc>::from(SystemTime::now()), header("x-amz-date")?);
    let signed = NaiveDateTime::parse_from_str(date, "%Y%m%dT%H%M%SZ")?.and_utc();
    let basic = |time: DateTime<Utc>| time.format("%Y%m%dT%H%M%SZ");
    if now - signed > WINDOW {
        let text =
            format!("Signature expired: {date} is now earlier than {} ({} - 15 min.)", basic(now - WINDOW), basic(now));
        return Ok(Err(("SignatureDoesNotMatch", text)));
    }
    if signed - now > WINDOW {
        let text = format!(
            "Signature not yet current: {date} is still later than {} ({} + 15 min.)",
            basic(now + WINDOW),
            basic(now)
        );
        return Ok(Err(("SignatureDoesNotMatch", text)));
    }
    let body: String = request.body.iter().map(|byte| format!("{byte:02x}")).collect();
    let question = json!({
        "method": request.method, "url": format!("{url}{}", request.target), "headers": request.headers, "body": body,
        "access_key": keys.access, "secret_key": keys.secret, "token": keys.token, "region": region, "service": service,
    });
    let made = botocore.lock().unwrap_or_else(PoisonError::into_inner).ask(&question.to_string())?;
    if made != "the same" {
        let text = "The request signature we calculated does not match the signature you provided.";
        return Ok(Err(("SignatureDoesNotMatch", format!("{text} {made}"))));
    }
    if keys.expiration <= now {
        return Ok(Err(("ExpiredToken", "The security token included in the request is expired".to_owned())));
    }
    Ok(Ok(keys.access))
}

fn reply(answer: Answer) -> Reply {
    let id = "<RequestId>01234567-89ab-cdef-0123-456789abcdef</RequestId>";
    let space = "xmlns=\"https://sts.amazonaws.com/doc/2011-06-15/\"";
    let reply = match answer {
        Ok(access) => Reply::ok(format!(
            "<GetCallerIdentityResponse {space}><GetCallerIdentityResult><Arn>arn:aws:sts::123456789012:assumed-role/web/i-0</Arn>\
             <UserId>AROALAB:{access}</UserId><Account>123456789012</Account></GetCallerIdentityResult>\
             <ResponseMetadata>{id}</ResponseMetadata></GetCallerIdentityResponse>"
        )),
        Err((code, message)) => Reply::new(
            403,
            format!(
                "<ErrorResponse {space}><Error><Type>Sender</Type><Code>{code}</Code><Message>{message}</Message></Error>{id}\
                 </ErrorResponse>"
            ),
        ),
    };
    reply.header("Content-Type", "text/xml")
}
