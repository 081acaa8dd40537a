//! What programs of .NET and commands of PowerShell write, with their frames.

use super::*;

/// Messages, and what each is.
const OF_DOTNET: &[(&str, Kind)] = &[
    (
        "Amazon.Runtime.AmazonServiceException: Unable to get IAM security credentials from EC2 Instance Metadata Service.\n   \
         at Amazon.Runtime.DefaultInstanceProfileAWSCredentials.FetchCredentials()\n   at \
         Amazon.Runtime.DefaultInstanceProfileAWSCredentials.GetCredentialsAsync()\n   at \
         Amazon.Runtime.Internal.CredentialsRetriever.InvokeAsync[T](IExecutionContext executionContext)",
        Kind::Imds(Symptom::Unclear),
    ),
    (
        "Amazon.Runtime.AmazonClientException: Failed to resolve AWS credentials. The credential providers used to search for \
         credentials returned the following errors:\n\nException 1 of 4: The environment variables \
         AWS_ACCESS_KEY_ID/AWS_SECRET_ACCESS_KEY/AWS_SESSION_TOKEN were not set with AWS credentials.\nException 2 of 4: The \
         webIdentityTokenFile must be an absolute path. (Parameter 'webIdentityTokenFile')\nException 3 of 4: Unable to find \
         the \"default\" profile.\nException 4 of 4: Failed to connect to EC2 instance metadata to retrieve credentials: Unable \
         to get IAM security credentials from EC2 Instance Metadata Service..",
        Kind::NoCredentials,
    ),
    (
        "Get-SFNExecutionList: Failed to resolve AWS credentials. The credential providers used to search for credentials \
         returned the following errors:\n\nException 1 of 3: The environment variables \
         AWS_ACCESS_KEY_ID/AWS_SECRET_ACCESS_KEY/AWS_SESSION_TOKEN were not set with AWS credentials.",
        Kind::NoCredentials,
    ),
    (
        "Write-S3Object : No credentials specified or obtained from persisted/shell defaults.\nAt \
         C:\\apps\\car-wash-kiosk\\bin\\upload.ps1:13 char:1\n+ Write-S3Object -BucketName $S3_BUCKET_NAME -Key \
         $LOCATION_NUMBER/car- ...\n    + CategoryInfo          : InvalidOperation: \
         (Amazon.PowerShe...eS3ObjectCmdlet:WriteS3ObjectCmdlet) [Write-S3Objec\n   t], InvalidOperationException\n    + \
         FullyQualifiedErrorId : InvalidOperationException,Amazon.PowerShell.Cmdlets.S3.WriteS3ObjectCmdlet",
        Kind::NoCredentials,
    ),
    (
        "Get-ECRLoginCommand : The security token included in the request is invalid.\nAt line:1 char:2\n+ \
         (Get-ECRLoginCommand).Password\n+  ~~~~~~~~~~~~~~~~~~~\n    + CategoryInfo          : InvalidOperation: \
         (Amazon.PowerShe...inCommandCmdlet:GetECRLoginCommandCmdlet) [Get-ECRLoginCommand], InvalidOperationException\n    + \
         FullyQualifiedErrorId : Amazon.ECR.AmazonECRException,Amazon.PowerShell.Cmdlets.ECR.GetECRLoginCommandCmdlet",
        Kind::UnrecognizedClient,
    ),
    (
        "Amazon.SecurityToken.AmazonSecurityTokenServiceException: The security token included in the request is expired\n ---> \
         Amazon.Runtime.Internal.HttpErrorResponseException: Exception of type \
         'Amazon.Runtime.Internal.HttpErrorResponseException' was thrown.\n   at \
         Amazon.Runtime.HttpWebRequestMessage.GetResponseAsync(CancellationToken cancellationToken)",
        Kind::ExpiredToken,
    ),
    (
        "Error occured: The provided token has expired. while trying to get object with key a/319/DOCUMENT from bucket b, \
         stacktrace:    at Amazon.Runtime.Internal.HttpErrorResponseExceptionHandler.HandleExceptionStream(IRequestContext \
         requestContext, IWebResponseData httpErrorResponse, HttpErrorResponseException exception, Stream responseStream)",
        Kind::ExpiredToken,
    ),
    (
        "Unhandled exception. Amazon.Runtime.CredentialManagement.ProfileNotFoundException: Unable to find the \"dev\" profile.",
        Kind::NoCredentials,
    ),
    (
        "System.IO.InvalidDataException: Credential profile [dev] is not valid.  Please ensure the profile contains a valid \
         combination of properties.",
        Kind::NoCredentials,
    ),
    (
        "System.IO.InvalidDataException: Line 1:<[default] # some comment> in file C:\\Users\\u\\.aws\\credentials does not \
         contain a section, property or comment.",
        Kind::NoCredentials,
    ),
    (
        "System.InvalidOperationException: Assembly AWSSDK.SecurityToken could not be found or loaded. This assembly must be \
         available at runtime to use Amazon.Runtime.AssumeRoleAWSCredentials.\n ---> System.IO.FileNotFoundException: Could \
         not load file or assembly 'AWSSDK.SecurityToken, Culture=neutral, PublicKeyToken=null'. The system cannot find the \
         file specified.",
        Kind::NoCredentials,
    ),
    (
        "System.InvalidOperationException: The profile [dev] is an SSO profile.  This type of profile is not allowed here.  \
         Please use a different type of profile.",
        Kind::SsoExpired,
    ),
    (
        "Amazon.Runtime.AmazonServiceException: Unable to retrieve credentials. Message = \"Unable to reach credentials server\"",
        Kind::Container,
    ),
    (
        "System.ArgumentException: Cannot fetch credentials from container - the full URI contains an invalid host: \
         http://example.com/",
        Kind::Container,
    ),
    (
        "Amazon.Runtime.AmazonClientException: The retrieved credentials have already expired: Now = 12/01/2017 12:00:10, \
         Credentials expiration = 12/01/2017 11:59:59",
        Kind::StillExpired,
    ),
];

#[test]
fn programs_of_dotnet_and_commands_of_powershell_are_understood() {
    for (message, kind) in OF_DOTNET {
        assert_eq!(of(message), [*kind], "{message}");
    }
}
