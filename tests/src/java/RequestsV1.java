import com.amazonaws.auth.AWSCredentialsProvider;
import com.simba.athena.amazonaws.ClientConfiguration;
import com.simba.athena.amazonaws.auth.DefaultAWSCredentialsProviderChain;
import com.simba.athena.amazonaws.auth.profile.ProfileCredentialsProvider;
import com.simba.athena.amazonaws.client.builder.AwsClientBuilder.EndpointConfiguration;
import com.simba.athena.amazonaws.retry.PredefinedRetryPolicies;
import com.simba.athena.amazonaws.services.securitytoken.AWSSecurityTokenService;
import com.simba.athena.amazonaws.services.securitytoken.AWSSecurityTokenServiceClientBuilder;
import com.simba.athena.amazonaws.services.securitytoken.model.GetCallerIdentityRequest;
import java.io.BufferedReader;
import java.io.InputStreamReader;

/** As Requests.java, with AWS SDK for Java 1.x, as a library has it within under a name of its own. */
public final class RequestsV1 {
    public static void main(String[] arguments) throws Exception {
        AWSCredentialsProvider provider =
            arguments[0].equals("profile") ? new ProfileCredentialsProvider() : DefaultAWSCredentialsProviderChain.getInstance();
        AWSSecurityTokenService sts = arguments[1].equals("-") ? null : client(provider, arguments[1]);
        BufferedReader lines = new BufferedReader(new InputStreamReader(System.in));
        // To start takes long, and keys live for seconds.
        System.out.println("ready");
        while (lines.readLine() != null) {
            try {
                if (sts == null) {
                    provider.getCredentials();
                    System.out.println("used");
                } else {
                    sts.getCallerIdentity(new GetCallerIdentityRequest());
                    System.out.println("accepted");
                }
            } catch (RuntimeException exception) {
                exception.printStackTrace();
                System.err.flush();
                System.out.println(exception.toString().replace('\n', ' '));
            }
            System.out.flush();
        }
    }

    private static AWSSecurityTokenService client(AWSCredentialsProvider provider, String endpoint) {
        return AWSSecurityTokenServiceClientBuilder.standard()
            .withEndpointConfiguration(new EndpointConfiguration(endpoint, "eu-central-1"))
            .withCredentials(provider)
            // A refusal is to be seen as it comes.
            .withClientConfiguration(new ClientConfiguration().withRetryPolicy(PredefinedRetryPolicies.NO_RETRY_POLICY))
            .build();
    }
}
