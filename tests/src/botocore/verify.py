"""Says of each request that it is sent whether AWS's own library would have signed it so.

A question is a JSON object on a line: method, url, headers, body (in hexadecimal digits), access_key, secret_key, token, region and
service. The answer is "the same", or both signatures.
"""

import datetime
import json
import re
import sys
from unittest import mock

import botocore.auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials

LEFT_OUT = botocore.auth.SIGNED_HEADERS_BLACKLIST

for line in sys.stdin:
    asked = json.loads(line)
    given = asked["headers"]["authorization"]
    names = re.search(r"SignedHeaders=([^,]+)", given).group(1).split(";")
    own = ("authorization", "x-amz-date", "x-amz-security-token", "host")
    headers = {name: asked["headers"][name] for name in names if name not in own}
    request = AWSRequest(asked["method"], asked["url"], headers, bytes.fromhex(asked["body"]))
    # Some SDKs sign what botocore itself leaves out because proxies change it.
    botocore.auth.SIGNED_HEADERS_BLACKLIST = [name for name in LEFT_OUT if name not in names]
    keys = Credentials(asked["access_key"], asked["secret_key"], asked["token"])
    signer = botocore.auth.SigV4Auth(keys, asked["service"], asked["region"])
    at = datetime.datetime.strptime(asked["headers"]["x-amz-date"], "%Y%m%dT%H%M%SZ")
    with mock.patch("botocore.auth.get_current_datetime", lambda: at):
        signer.add_auth(request)
    made = request.headers["Authorization"]
    print("the same" if made == given else f"{made} and not {given}", flush=True)
