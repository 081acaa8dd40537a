import java.io.BufferedReader;
import java.io.InputStreamReader;
import java.lang.reflect.Field;
import java.util.HashMap;
import java.util.Map;
import software.amazon.awssdk.auth.credentials.DefaultCredentialsProvider;

/**
 * Which credentials AWS SDK for Java 2.x picks: for each line, which is an environment (NAME=VALUE or -DNAME=VALUE, separated by
 * U+001F), a line with the outcome, the identifier of the keys and the error, separated by tabs.
 *
 * <p>A JVM reads its environment once, so that this one is told to forget it: it needs {@code --add-opens} for java.lang and
 * java.util.
 */
public final class Picks {
    public static void main(String[] arguments) throws Exception {
        BufferedReader lines = new BufferedReader(new InputStreamReader(System.in, "UTF-8"));
        for (String line = lines.readLine(); line != null; line = lines.readLine()) {
            become(line);
            System.out.println(pick());
            System.out.flush();
        }
    }

    private static String pick() {
        try (DefaultCredentialsProvider provider = DefaultCredentialsProvider.builder().build()) {
            return "picked\t" + provider.resolveCredentials().accessKeyId().replaceAll("\\s+", " ") + "\t";
        } catch (RuntimeException error) {
            boolean isEnd = error.toString().contains("Unable to load credentials from any of the providers in the chain");
            return (isEnd ? "nothing" : "failed") + "\t\t" + error.toString().replaceAll("\\s+", " ");
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
