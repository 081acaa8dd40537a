//! Why the instance metadata service gives an SDK no credentials, and what mends it.

use super::{Cause, HOP_LIMIT, PROXY};
use crate::doctor::explain::explained::Standing::{Likely, Proven, ToCheck};
use crate::doctor::explain::kind::Kind;
use crate::doctor::explain::symptom::Symptom;

const ATTACH: &str = "aws ec2 associate-iam-instance-profile --instance-id ID --iam-instance-profile Name=NAME";
const NOT_HERE: &str =
    "give the SDK other credentials: a profile in AWS_PROFILE, `aws sso login`, or a role of the container";

/// What can cause it.
pub(super) fn causes(symptom: Symptom) -> &'static [Cause] {
    match symptom {
        Symptom::Refused => &[
            (Likely, "this is no EC2 instance, and the SDK found nothing else before it asked", NOT_HERE),
            (
                ToCheck,
                "a firewall or a network policy rejects 169.254.169.254",
                "`curl -s -X PUT http://169.254.169.254/latest/api/token -H 'X-aws-ec2-metadata-token-ttl-seconds: 60'` must answer",
            ),
            (ToCheck, "AWS_EC2_METADATA_SERVICE_ENDPOINT is wrong", "unset AWS_EC2_METADATA_SERVICE_ENDPOINT"),
        ],
        Symptom::Timeout => &[
            (ToCheck, "in a container: the hop limit is 1, so that the answer with the token never arrives", HOP_LIMIT),
            (ToCheck, "this is no EC2 instance, and the SDK found nothing else before it asked", NOT_HERE),
            (ToCheck, "a firewall, a network policy or a proxy swallows 169.254.169.254", PROXY),
            (
                ToCheck,
                "packets are dropped: more than 1024 a second go to link-local addresses",
                "linklocal_allowance_exceeded in `ethtool -S INTERFACE`; let the SDK try again: AWS_METADATA_SERVICE_NUM_ATTEMPTS=5",
            ),
        ],
        Symptom::Unauthorized => &[
            (
                Likely,
                "the SDK is too old for IMDSv2, and the instance requires it",
                "update the SDK: botocore 1.13.25, boto3 1.12.6, AWS CLI 1.16.289, Go v1 1.25.38, Java v1 1.11.678 or v2 2.10.21, JavaScript v2 2.722.0, Ruby 3.79.0, PHP 3.147.7, .NET 3.3.634.1, C++ 1.7.229 and later speak it; until then: aws ec2 modify-instance-metadata-options --instance-id ID --http-tokens optional",
            ),
            (ToCheck, "a proxy in between drops the header with the token", PROXY),
            (ToCheck, "a host that was resumed: its tokens are over", "restart the process"),
        ],
        Symptom::Forbidden => &[
            (ToCheck, "the metadata service is turned off (HttpEndpoint=disabled)", HOP_LIMIT),
            (ToCheck, "a proxy answers instead of it", PROXY),
        ],
        Symptom::NoRole => &[
            (Likely, "no instance profile is attached", ATTACH),
            (
                ToCheck,
                "the role was removed from the instance profile or deleted",
                "`aws iam get-instance-profile --instance-profile-name NAME`",
            ),
        ],
        Symptom::NoSuchPath => &[(
            Proven,
            "the instance has no such metadata: a private instance has no public address, one without tags in metadata no tags",
            "let the program do without it, or give the instance what it asks for; its role is another matter",
        )],
        Symptom::Throttled => &[
            (
                Likely,
                "many processes that ask for credentials at once, or one that does not cache them",
                "let the SDK try again: AWS_METADATA_SERVICE_NUM_ATTEMPTS=5 and AWS_METADATA_SERVICE_TIMEOUT=5 in the environment of the process; find the one that asks too often, and look for linklocal_allowance_exceeded in ethtool -S INTERFACE",
            ),
            (
                ToCheck,
                "what answers at 169.254.169.254 is a proxy, or kiam or kube2iam",
                "`curl -sI http://169.254.169.254/`: AWS's own says `Server: EC2ws`",
            ),
        ],
        Symptom::Disabled => &[
            (
                ToCheck,
                "AWS_EC2_METADATA_DISABLED=true",
                "unset AWS_EC2_METADATA_DISABLED where the process gets its environment, and restart it",
            ),
            (
                ToCheck,
                "a setting of the SDK's client or of Java (aws.disableEc2Metadata)",
                "look at the settings of the client",
            ),
        ],
        Symptom::Untrusted => &[
            (
                Likely,
                "the trust policy of the role does not name ec2.amazonaws.com",
                "`aws iam get-role --role-name ROLE --query Role.AssumeRolePolicyDocument`",
            ),
            (ToCheck, "the role was deleted and made anew", "disassociate the instance profile and associate it again"),
        ],
        Symptom::Unclear => super::causes(Kind::NoCredentials),
    }
}
