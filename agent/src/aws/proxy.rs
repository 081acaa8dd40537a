//! How HTTP clients find out whether they use a proxy.

/// How a client finds out whether a request by plain HTTP goes through a proxy.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Rule {
    /// It asks the metadata service without a proxy, whatever the environment says.
    Direct,
    /// Suffixes of names, and no networks. `ALL_PROXY` counts for nothing.
    ///
    /// Source: `IMDSFetcher.__init__`, `get_environ_proxies` and `ProxyConfiguration.proxy_url_for` of botocore 1.44;
    /// `getproxies_environment` and `proxy_bypass_environment` in CPython's `urllib/request.py`.
    Urllib,
    /// Networks, addresses and suffixes of names, also of addresses. `ALL_PROXY` counts for nothing.
    ///
    /// Source: `resolveHTTPClient` in `feature/ec2/imds/api_client.go` and `defaultHTTPTransport` in
    /// `aws/transport/http/client.go` of aws-sdk-go-v2; `http/httpproxy/proxy.go` of golang.org/x/net.
    Go,
    /// Networks and addresses; names, and `*` among them, do not except an address.
    ///
    /// Source: `default_https_client` of aws-smithy-runtime 1.16, which follows the variables from behaviour version
    /// 2025-08-07; `client/proxy/matcher.rs` of hyper-util 0.1.
    Hyper,
    /// Names, addresses and ranges such as `169.254.0.0-169.254.255.255`, and only where `NODE_USE_ENV_PROXY` is 1.
    ///
    /// Source: `httpRequest` of @smithy/credential-provider-imds, which asks through Node's global agent; "Built-in
    /// Proxy Support" in the manual of Node.js 24 and `ProxyConfig.shouldUseProxy` in its `lib/internal/http.js`.
    Node,
    /// Whole names, and suffixes where a dot is before them; no networks, and `*` is a name like any other.
    ///
    /// Source: `CreateClient` in `AWSSDKUtils.cs` of aws-sdk-net 3.7 and 4.0, which gives the client no proxy of its own and so
    /// that of the process, also for the endpoint of a container; `HttpEnvironmentProxy.cs` of .NET. What Windows has set besides
    /// is not known.
    DotNet,
    /// Networks and addresses; `HTTP_PROXY` in upper case counts for nothing. It is no SDK, but what people try first.
    ///
    /// Source: `lib/noproxy.c` of curl 8; "Environment" in curl(1).
    Curl,
}
