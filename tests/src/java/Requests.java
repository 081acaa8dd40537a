import java.io.BufferedReader;
import java.io.InputStreamReader;
import java.net.URI;
import software.amazon.awssdk.auth.credentials.AwsCredentialsProvider;
import software.amazon.awssdk.auth.credentials.DefaultCredentialsProvider;
import software.amazon.awssdk.auth.credentials.ProfileCredentialsProvider;
import software.amazon.awssdk.http.apache.ApacheHttpClient;
import software.amazon.awssdk.regions.Region;
import software.amazon.awssdk.retries.DefaultRetryStrategy;
import software.amazon.awssdk.services.sts.StsClient;

/**
 * A program as there are many: AWS SDK for Java 2.x, with the credentials that its provider finds, once for each line that it
 * is sent. The answer is "accepted", or the exception on one line; as it would be logged, it goes to standard error.
 *
 * <p>Arguments: the provider ("default", or "profile"), and where STS is. "used" is answered where that is "-", because then the
 * credentials are looked up alone.
 */
public final class Requests {
    public static void main(String[] arguments) throws Exception {
        AwsCredentialsProvider provider =
            arguments[0].equals("profile") ? ProfileCredentialsProvider.create() : DefaultCredentialsProvider.builder().build();
        StsClient sts = arguments[1].equals("-") ? null : client(provider, URI.create(arguments[1]));
        BufferedReader lines = new BufferedReader(new InputStreamReader(System.in));
        // To start takes long, and keys live for seconds.
        System.out.println("ready");
        while (lines.readLine() != null) {
            try {
                if (sts == null) {
                    provider.resolveCredentials();
                    System.out.println("used");
                } else {
                    sts.getCallerIdentity();
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

    private static StsClient client(AwsCredentialsProvider provider, URI endpoint) {
        return StsClient.builder()
            .endpointOverride(endpoint)
            .region(Region.EU_CENTRAL_1)
            .credentialsProvider(provider)
            .httpClient(ApacheHttpClient.create())
            // A refusal is to be seen as it comes.
            .overrideConfiguration(settings -> settings.retryStrategy(DefaultRetryStrategy.doNotRetry()))
            .build();
    }
}
