//! The three places in which Windows keeps proxies, and whom each of them leads astray.
//!
//! | place | who reads it |
//! |---|---|
//! | WinINET, for each user | .NET, PowerShell, and botocore where no variable names a proxy |
//! | the variables of the machine and of the user | as on every system |
//! | WinHTTP, for the machine | services of Windows; no SDK for the metadata service |
//!
//! Source: `AWSSDKUtils.CreateClient` of the AWS SDK for .NET, which takes `WebRequest.DefaultWebProxy` where no proxy of its own
//! is set; `getproxies` and `proxy_bypass` in CPython's `urllib/request.py`, on Windows, which botocore calls.

pub mod checks;
pub mod environment;
mod name;
pub mod winhttp;
pub mod wininet;
