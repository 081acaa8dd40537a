/** A program that does nothing, for ten minutes. */
public final class Sleeper {
    public static void main(String[] arguments) throws InterruptedException {
        Thread.sleep(600_000);
    }
}
