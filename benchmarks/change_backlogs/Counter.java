import io.debezium.embedded.Connect;
import io.debezium.engine.DebeziumEngine;
import io.debezium.engine.RecordChangeEvent;
import io.debezium.engine.format.ChangeEventFormat;
import java.io.Reader;
import java.lang.management.ManagementFactory;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.Properties;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.Executors;
import org.apache.kafka.connect.source.SourceRecord;

/**
 * Debezium's embedded engine with a consumer that only counts: java -cp 'jars/*' Counter.java PROPERTIES RECORDS
 *
 * Its best case: records of Kafka Connect, never serialised. After so many of them it prints how many came after the
 * first batch, in how many seconds, and for how many CPU seconds of the whole process: its start is not in them. Ends
 * with 1 if the engine fails.
 */
public class Counter {
  private static final com.sun.management.OperatingSystemMXBean SYSTEM =
      (com.sun.management.OperatingSystemMXBean) ManagementFactory.getOperatingSystemMXBean();
  private static final CountDownLatch done = new CountDownLatch(1);
  private static boolean failed;
  private static long wanted, seen, first, wallAtFirst, cpuAtFirst;

  public static void main(String[] arguments) throws Exception {
    Properties properties = new Properties();
    try (Reader reader = Files.newBufferedReader(Path.of(arguments[0]))) {
      properties.load(reader);
    }
    wanted = Long.parseLong(arguments[1]);
    DebeziumEngine<RecordChangeEvent<SourceRecord>> engine =
        DebeziumEngine.create(ChangeEventFormat.of(Connect.class))
            .using(properties)
            .using((success, message, error) -> {
              failed = !success;
              if (failed) System.err.println(message);
              done.countDown();
            })
            .notifying(Counter::take)
            .build();
    Executors.newSingleThreadExecutor().execute(engine);
    done.await();
    if (!failed) engine.close();
    System.exit(failed ? 1 : 0);
  }

  private static void take(
      List<RecordChangeEvent<SourceRecord>> records,
      DebeziumEngine.RecordCommitter<RecordChangeEvent<SourceRecord>> committer)
      throws InterruptedException {
    if (seen == 0) {
      first = records.size();
      wallAtFirst = System.nanoTime();
      cpuAtFirst = SYSTEM.getProcessCpuTime();
    }
    long before = seen;
    seen += records.size();
    committer.markProcessed(records.get(records.size() - 1)); // and with it all before
    committer.markBatchFinished();
    if (before < wanted && seen >= wanted) {
      double seconds = (System.nanoTime() - wallAtFirst) / 1e9;
      double cpu = (SYSTEM.getProcessCpuTime() - cpuAtFirst) / 1e9;
      System.out.println((seen - first) + " " + seconds + " " + cpu);
      done.countDown();
    }
  }
}
