"""Lists a bucket, signed by the clock of this process, once for each line that it is sent.

The answer is "accepted", or the code of the error. Arguments: the endpoint and the bucket.
"""

import sys

import botocore.session
from botocore.config import Config
from botocore.exceptions import ClientError

endpoint, bucket = sys.argv[1:]
config = Config(retries={"total_max_attempts": 1}, s3={"addressing_style": "path"})
client = botocore.session.Session().create_client(
    "s3", region_name="us-east-1", endpoint_url=endpoint, config=config
)
for _ in sys.stdin:
    try:
        client.list_objects_v2(Bucket=bucket)
        answer = "accepted"
    except ClientError as error:
        answer = error.response["Error"]["Code"]
    print(answer, flush=True)
