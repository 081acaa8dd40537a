"""Uses the credentials of the instance role, as any program on botocore does, once for each line that it is sent.

The answer is "used", or the name of the exception.
"""

import sys

import botocore.session

credentials = botocore.session.Session().get_credentials()
for _ in sys.stdin:
    try:
        credentials.get_frozen_credentials()
        answer = "used"
    except Exception as error:
        answer = type(error).__name__
    print(answer, flush=True)
