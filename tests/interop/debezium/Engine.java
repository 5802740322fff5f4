import io.debezium.engine.ChangeEvent;
import io.debezium.engine.DebeziumEngine;
import io.debezium.engine.format.Json;
import java.io.BufferedWriter;
import java.io.Reader;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardOpenOption;
import java.util.Properties;

/**
 * Debezium's embedded engine, as the judge of ours: java -cp 'jars/*' Engine.java PROPERTIES OUT
 *
 * Writes each record as a line: destination TAB key TAB value ("null" where there is none). Runs until it is killed, or
 * ends with 1 if the engine fails.
 */
public class Engine {
  public static void main(String[] arguments) throws Exception {
    Properties properties = new Properties();
    try (Reader reader = Files.newBufferedReader(Path.of(arguments[0]))) {
      properties.load(reader);
    }
    BufferedWriter out =
        Files.newBufferedWriter(Path.of(arguments[1]), StandardOpenOption.CREATE, StandardOpenOption.APPEND);
    DebeziumEngine<ChangeEvent<String, String>> engine =
        DebeziumEngine.create(Json.class)
            .using(properties)
            .using((success, message, error) -> {
              System.err.println(message);
              if (error != null) error.printStackTrace();
            })
            .notifying((records, committer) -> {
              try {
                for (ChangeEvent<String, String> record : records) {
                  out.write(record.destination() + "\t" + record.key() + "\t" + record.value() + "\n");
                }
                out.flush();
              } catch (java.io.IOException error) {
                throw new java.io.UncheckedIOException(error);
              }
              for (ChangeEvent<String, String> record : records) committer.markProcessed(record);
              committer.markBatchFinished();
            })
            .build();
    engine.run();
    System.exit(1);
  }
}
