import java.io.BufferedReader;
import java.io.InputStreamReader;
import java.lang.reflect.Field;
import java.util.HashMap;
import java.util.Map;
import com.simba.athena.amazonaws.auth.DefaultAWSCredentialsProviderChain;
import com.simba.athena.amazonaws.auth.InstanceProfileCredentialsProvider;

/** As Picks.java, with AWS SDK for Java 1.x, as a library has it within under a name of its own. */
public final class PicksV1 {
    public static void main(String[] arguments) throws Exception {
        BufferedReader lines = new BufferedReader(new InputStreamReader(System.in, "UTF-8"));
        for (String line = lines.readLine(); line != null; line = lines.readLine()) {
            become(line);
            System.out.println(pick());
            System.out.flush();
        }
    }

    private static String pick() {
        // It has a property where others have a variable; which of them depends on the name that it has within.
        String endpoint = System.getenv("AWS_EC2_METADATA_SERVICE_ENDPOINT");
        for (String name : new String[] {"com.amazonaws", "com.simba.athena.amazonaws"}) {
            System.setProperty(name + ".sdk.ec2MetadataServiceEndpointOverride", endpoint == null ? "" : endpoint);
        }
        try {
            forget();
            return "picked\t" + new DefaultAWSCredentialsProviderChain().getCredentials().getAWSAccessKeyId().replaceAll("\\s+", " ") + "\t";
        } catch (RuntimeException error) {
            boolean isEnd = error.toString().contains("Unable to load AWS credentials from any provider in the chain");
            return (isEnd ? "nothing" : "failed") + "\t\t" + error.toString().replaceAll("\\s+", " ");
        }
    }

    /** The keys of the instance are kept for the whole process, which is to be another one each time. */
    private static void forget() {
        try {
            Field fetcher = InstanceProfileCredentialsProvider.class.getDeclaredField("credentialsFetcher");
            fetcher.setAccessible(true);
            Object kept = fetcher.get(InstanceProfileCredentialsProvider.getInstance());
            Field keys = kept.getClass().getSuperclass().getDeclaredField("credentials");
            keys.setAccessible(true);
            keys.set(kept, null);
        } catch (ReflectiveOperationException error) {
            throw new IllegalStateException(error);
        }
    }

    /** Gives this process these variables and properties, and no others. */
    private static void become(String line) throws Exception {
        System.getProperties().keySet().removeIf(name -> name.toString().startsWith("aws."));
        Map<String, String> variables = new HashMap<>();
        for (String assignment : line.split("\u001f")) {
            int at = assignment.indexOf('=');
            String name = assignment.substring(0, at);
            String value = assignment.substring(at + 1);
            if (name.startsWith("-D")) {
                System.setProperty(name.substring(2), value);
            } else {
                variables.put(name, value);
            }
        }
        Map<String, String> shown = System.getenv();
        Field inner = shown.getClass().getDeclaredField("m");
        inner.setAccessible(true);
        @SuppressWarnings("unchecked")
        Map<String, String> own = (Map<String, String>) inner.get(shown);
        own.clear();
        own.putAll(variables);
    }
}
